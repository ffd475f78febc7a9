#include "tunnel/sockets.h"

namespace godwit::tunnel {
namespace {

constexpr std::string_view kNumber = "{}";

Result<> check_one(std::string_view option, const std::string& path, bool numbered) {
  if (path.empty()) return {};
  if (path.front() != '/') return fail(Errc::invalid_argument, "{} {}: must be an absolute path", option, path);
  if (numbered && path.find(kNumber) == std::string::npos) {
    return fail(Errc::invalid_argument, "{} {}: with --guests it must hold {{}}, the place of the guest's number",
                option, path);
  }
  return {};
}

}  // namespace

Result<> Sockets::check() const {
  if (guests == 0 || guests > kGuestsLimit) {
    return fail(Errc::invalid_argument, "--guests {}: must be 1 to {}", guests, kGuestsLimit);
  }
  if (memory.empty() && disk.empty() && libvirt.empty()) {
    return fail(Errc::invalid_argument, "nothing to carry: give --memory, --disk or --libvirt");
  }
  for (const auto& [option, path] : {std::pair{"--memory", &memory}, std::pair{"--disk", &disk}}) {
    auto checked = check_one(option, *path, guests > 1);
    if (!checked) return checked;
  }
  return check_one("--libvirt", libvirt, false);
}

std::string Sockets::path(Channel channel, std::uint32_t guest) const {
  if (channel == Channel::libvirt) return libvirt;
  if (channel == Channel::none || guest == 0 || guest > guests) return {};
  auto path = channel == Channel::memory ? memory : disk;
  const auto at = path.find(kNumber);
  if (at != std::string::npos) path.replace(at, kNumber.size(), std::to_string(guest));
  return path;
}

}  // namespace godwit::tunnel
