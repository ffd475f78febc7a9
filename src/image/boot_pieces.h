// What of an image a hypervisor reads before its guest runs. Pure.
#pragma once

#include "image/manifest.h"
#include "image/pieces.h"

#include <cstdint>
#include <vector>

namespace godwit::image {

// Where the disk begins, then all of kernel and initrd. Of the image, in the order in which they are read.
[[nodiscard]] std::vector<std::uint32_t> boot_pieces(const Manifest& manifest);
// They are all here. False as long as the list is not.
[[nodiscard]] bool may_begin(const Manifest& manifest, const Pieces& pieces);

}  // namespace godwit::image
