// A disk of a format, or with features, that this build doesn't read, made raw by qemu-img: in a process of its own,
// under limits, as a user who may do nothing else, for the file is somebody else's.
#pragma once

#include "sys/runtime.h"

#include <string>

namespace godwit::image {

struct ConversionLimits {
  unsigned uid{65534};                      // nobody; 0: the caller's own
  std::uint64_t memory_bytes{2ULL << 30U};  // of address space
  Seconds time{1800};                       // of the clock, and of the processor
  std::uint64_t disk_bytes{1ULL << 40U};    // that may be written; looked at five times a second
};

// Reads a copy of `path` and writes `directory`/raw; the directory is made, and the caller removes it. Formats: qcow2,
// vmdk (one sparse file), vdi, vhdx, vpc; without backing, data or extent files: nothing but the file itself is opened.
// Errors: not_found, io, unsupported, exhausted, timed_out, invalid_argument.
[[nodiscard]] sys::Task<Result<>> convert_to_raw(sys::Runtime& runtime, std::string path, std::string format,
                                                 std::string directory, ConversionLimits limits);
inline constexpr std::string_view kConvertedName = "raw";

// `path`, raw and our own, as a qcow2 file. Errors: io, timed_out.
[[nodiscard]] sys::Task<Result<>> convert_to_qcow2(sys::Runtime& runtime, std::string path, std::string to,
                                                   Seconds limit);

}  // namespace godwit::image
