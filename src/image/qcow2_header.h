// The header of a qcow2 file, checked: what finding its clusters needs. Format: QEMU's docs/interop/qcow2.txt.
#pragma once

#include "base/bytes.h"

namespace godwit::image {

inline constexpr std::size_t kQcow2HeaderBytes = 104;  // of version 3; version 2 has 72

// A value.
struct Qcow2Header {
  std::uint32_t version{0};
  std::uint32_t cluster_bits{0};
  std::uint64_t disk_bytes{0};
  std::uint64_t l1_offset{0};
  std::uint64_t l1_entries{0};  // those that the disk needs; the table may have more
};

enum class BackingFile : std::uint8_t { refused = 1, passed_over };

// `bytes`: the first of the file, at least those of its version's header; `file_bytes`: of the whole.
// Errors: unsupported, invalid_argument, as open_blocks() has them.
[[nodiscard]] Result<Qcow2Header> read_qcow2_header(ByteView bytes, std::uint64_t file_bytes,
                                                    BackingFile backing = BackingFile::refused);

}  // namespace godwit::image
