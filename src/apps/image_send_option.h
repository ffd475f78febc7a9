// --image-send-kib-s, which every process has that gives of images.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>

namespace CLI {
class App;
}

namespace godwit::apps {

// Errors: invalid_argument (less than all images of a process need).
[[nodiscard]] Result<> check_image_send(std::uint32_t kib_s);

// `receivers`: for its help. `kib_s`, in KiB a second, outlives the command; 0: as fast as can be.
void add_image_send_option(CLI::App& command, std::uint32_t& kib_s, const std::string& receivers);

}  // namespace godwit::apps
