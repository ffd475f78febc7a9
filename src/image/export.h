// A disk of a repository as a file for others: what `godwit image export` does.
#pragma once

#include "image/repository.h"

namespace godwit::image {

// `to`: a file that is not there yet. `format`: "raw" (sparse, and sharing its space with the image where the file
// system can do that) or "qcow2". Every piece is checked first. Where it fails nothing is left at `to`.
// Errors: conflict (there is a file, or the image is not whole), not_found (it has no such file), not_authentic, io,
// exhausted, invalid_argument.
[[nodiscard]] sys::Task<Result<>> export_file(sys::Runtime& runtime, Lease image, Role role, std::string to,
                                              std::string format);

}  // namespace godwit::image
