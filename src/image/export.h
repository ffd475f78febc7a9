// A disk of a repository as a file for others: what `godwit image export` does.
#pragma once

#include "image/repository.h"

#include <functional>

namespace godwit::image {

struct ExportProgress {
  std::uint64_t pieces{0};  // of the file
  std::uint64_t done{0};    // that were checked, and written where the format is raw
};

// `to`: a file that is not there yet. `format`: "raw" (sparse, and sharing its space with the image where the file
// system can do that) or "qcow2". Every piece is checked first. Where it fails nothing is left at `to`.
// Errors: conflict (there is a file, or the image is not whole), not_found (it has no such file), not_authentic, io,
// exhausted, invalid_argument.
[[nodiscard]] sys::Task<Result<>> export_file(sys::Runtime& runtime, Lease image, Role role, std::string to,
                                              std::string format,
                                              std::function<void(const ExportProgress&)> on_progress = {});

}  // namespace godwit::image
