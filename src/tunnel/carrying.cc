#include "tunnel/carrying.h"

#include <algorithm>

namespace godwit::tunnel {

std::vector<std::string> names(const Encodings& encodings) {
  std::vector<std::string> all;
  all.reserve(encodings.size());
  for (const auto* each : encodings) all.emplace_back(each->name());
  return all;
}

migrate::Encoding* choose(const Encodings& here, const std::vector<std::string>& wanted) {
  for (const auto& name : wanted) {
    const auto found = std::ranges::find(here, name, [](const auto* each) { return each->name(); });
    if (found != here.end()) return *found;
  }
  return nullptr;
}

// To migrate, Channel::disk means that the destination flushes the disk itself before the instance runs there, so the
// mirror's flushes are taken away. libvirt doesn't do that: they must cross.
sys::Task<Result<>> Carrying::carry(Channel, std::unique_ptr<sys::Stream> local, std::unique_ptr<sys::Stream> wan) {
  constexpr auto kUnchanged = migrate::Channel::memory;
  if (role_ == Role::send) {
    return migrate::carry_from_source(encoding_, kUnchanged, std::move(local), std::move(wan), wan_bytes_);
  }
  return migrate::carry_to_destination(encoding_, kUnchanged, std::move(wan), std::move(local));
}

}  // namespace godwit::tunnel
