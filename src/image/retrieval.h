// Takes an image from a store at the other end of a WAN by calls of its HTTP API (docs/protocols/image-store.md): asks
// for its list, which blocks its pieces have, and for those that no image here has, until it is whole.
#pragma once

#include "image/repository.h"
#include "image/shipment.h"

#include <functional>
#include <string>

namespace godwit::image {

struct RetrievalProgress {
  std::uint64_t pieces{0};
  std::uint64_t here{0};
  std::uint64_t wire_bytes{0};  // in bodies of answers
};

// `id`: of its content. `store` and `images` outlive it. What comes is
// compressed against what both have, as far as the store can do that. Memory: 24 MiB for each of kShipmentCalls, 32
// bytes a piece while its list comes, and what known_blocks.h and shared_blocks.h take. When it returns the image is
// whole and on disk; what a broken retrieval brought, of its list too, stays, and the next one carries on. Errors:
// those of the store; protocol, not_authentic (what it gives is not that image); exhausted; io.
[[nodiscard]] sys::Task<Result<Lease>> retrieve(sys::Runtime& runtime, Repository& images, std::string id,
                                                ShipmentTarget& store,
                                                std::function<void(const RetrievalProgress&)> on_progress);

}  // namespace godwit::image
