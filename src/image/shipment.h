// Brings an image to a store at the other end of a WAN by calls of its HTTP API (docs/protocols/image-store.md): asks
// what is missing, says the blocks, sends those that the store has in no other image, until it is whole.
#pragma once

#include "image/parcel.h"
#include "image/repository.h"
#include "image/similar_blocks.h"
#include "sys/runtime.h"
#include "wire/image.h"

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace godwit::image {

inline constexpr std::size_t kShipmentCalls = 3;  // at once: so the WAN is busy while the store works, and back

// What a shipment takes of the sender's memory: each call 4 MiB, or what parcel_pieces have if that is less; while a
// parcel is made twice what they have, and 10 MiB for its prefix and zstd; and similar_bytes, half as much again while
// that grows.
struct ShipmentLimits {
  std::size_t calls{kShipmentCalls};
  std::size_t parcel_pieces{kParcelPieces};
  std::size_t similar_bytes{kSimilarBlocks_bytes};
};
// Of a host, whose memory is its guests': 50 MiB at most. Its snapshots have most in common with what the cloud has.
inline constexpr ShipmentLimits kShipmentOfHost{2, kParcelPieces / 4, kSimilarBlocks_bytes / 2};

// The store, as one who may put images into it. It outlives the shipment.
class ShipmentTarget {
 public:
  virtual ~ShipmentTarget() = default;
  // One call, with the body of its answer. Errors: those of the store, and of the way to it.
  [[nodiscard]] virtual sys::Task<Result<std::string>> call(std::string method, std::string path, std::string body) = 0;
};

// Asks of the content at `path` which of `siblings` the store has too, so that parcels may be compressed against them
// and against what both have of it. Nothing: it knows of no such thing. Errors: those of the store; protocol.
[[nodiscard]] sys::Task<Result<std::optional<std::vector<Lease>>>> ask_for_prefixes(ShipmentTarget& store,
                                                                                    std::string path,
                                                                                    std::vector<Lease> siblings);
// Some of them, from the first on to the last: what they are like the others are.
[[nodiscard]] std::vector<std::uint64_t> sample_of(std::span<const std::uint64_t> pieces);

struct ShipmentProgress {
  std::uint64_t pieces{0};
  std::uint64_t here{0};        // at the store
  std::uint64_t wire_bytes{0};  // in bodies of requests
};

// `image` is whole, and outlives it. `siblings`: others that are whole here (image/shared_blocks.h), best first; what
// travels is compressed against those that the store has too, and that are worth_looking_at(). What a broken
// shipment brought stays there: the next one carries on. Errors: those of the store; protocol (answers that make no
// sense); io.
[[nodiscard]] sys::Task<Result<ShipmentProgress>> ship(sys::Executor executor, Pieces& image, wire::ImageOffer offer,
                                                       ShipmentTarget& target,
                                                       std::function<void(const ShipmentProgress&)> on_progress,
                                                       std::vector<Lease> siblings = {}, ShipmentLimits limits = {});

}  // namespace godwit::image
