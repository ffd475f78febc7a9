// An empty qcow2 overlay on a backing file, as bytes. QEMU's own qemu-img takes 40 ms to start; this takes none.
// Format: QEMU's docs/interop/qcow2.txt, version 3, 64 KiB clusters, 16-bit refcounts.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace godwit::image {

constexpr std::uint64_t kOverlaySizeLimit = 64ULL << 40U;  // what one refcount block and 2 MiB of L1 table describe

// `size_bytes`: of the disk that the guest sees, a multiple of 512. `backing_path` absolute, at most 1,023 bytes;
// `backing_format` "qcow2" or "raw": always written down, since a guessed format lets a guest choose it.
// Errors: invalid_argument.
[[nodiscard]] Result<std::string> make_overlay(std::uint64_t size_bytes, std::string_view backing_path,
                                               std::string_view backing_format);

}  // namespace godwit::image
