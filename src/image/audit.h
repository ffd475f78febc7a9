// Compares an image with its list, piece by piece: what `godwit image check` does.
#pragma once

#include "image/repository.h"

#include <functional>

namespace godwit::image {

struct AuditReport {
  std::uint64_t pieces{0};         // that were looked at
  std::vector<std::uint64_t> bad;  // said to be here, and not what the list says: they are not here any more
  std::uint64_t cleared{0};        // of zeros, which the disk had otherwise: they are zeros again
  std::uint64_t found{0};          // not said to be here, and right: a crash had left them out
  std::uint64_t missing{0};        // not here in the end, the bad ones among them
};

// Every piece, whatever is said of it; the strand goes on between them. What it says is on disk when it returns.
// Errors: not_found (the list is not here yet), io.
[[nodiscard]] sys::Task<Result<AuditReport>> audit(sys::Runtime& runtime, Repository& images, Lease image,
                                                   std::function<void(std::uint64_t done, std::uint64_t all)> progress);

}  // namespace godwit::image
