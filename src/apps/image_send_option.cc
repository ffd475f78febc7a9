#include "apps/image_send_option.h"

#include "image/distribution.h"

#include <CLI/CLI.hpp>

namespace godwit::apps {
namespace {

constexpr std::uint32_t kLeast_kib_s = image::kLeastSendRate_bytes_per_s >> 10U;

}  // namespace

Result<> check_image_send(std::uint32_t kib_s) {
  if (kib_s == 0 || kib_s >= kLeast_kib_s) return {};
  return fail(Errc::invalid_argument, "must be 0 (as fast as can be), or {} and more", kLeast_kib_s);
}

void add_image_send_option(CLI::App& command, std::uint32_t& kib_s, const std::string& receivers) {
  command
      .add_option_function<std::uint32_t>(
          "--image-send-kib-s",
          [&kib_s](const std::uint32_t& asked) {
            const auto checked = check_image_send(asked);
            if (!checked) throw CLI::ValidationError("--image-send-kib-s", checked.error().message);
            kib_s = asked;
          },
          "KiB/s at which all images together go to " + receivers + " (0: as fast as can be)")
      ->type_name("UINT");
}

}  // namespace godwit::apps
