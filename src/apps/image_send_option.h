// --image-send-kib-s, which every process has that gives of images.
#pragma once

#include <cstdint>
#include <string>

namespace CLI {
class App;
}

namespace godwit::apps {

// `receivers`: for its help. `kib_s`, in KiB a second, outlives the command; 0: as fast as can be.
void add_image_send_option(CLI::App& command, std::uint32_t& kib_s, const std::string& receivers);

}  // namespace godwit::apps
