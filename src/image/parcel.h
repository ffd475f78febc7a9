// A parcel: some pieces of an image on their way to who lacks them. Blocks that the receiver said it holds travel as
// tags, the rest compressed together, and against others that both have. Pure but for the pieces that are read and put.
// Format: docs/formats/parcel.md.
#pragma once

#include "image/parcel_prefix.h"
#include "image/piece_tree.h"

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace godwit::image {

inline constexpr std::size_t kParcelPieces = 256;              // 16 MiB: what compresses together
inline constexpr std::size_t kParcelLimit_bytes = 4UL << 20U;  // as it travels
inline constexpr std::size_t kParcelLevel = 6;                 // of zstd

// The first 64 bits of a block's SHA-256: enough to find a block by, since the piece is checked as a whole.
using BlockTag = std::array<std::byte, 8>;

// Of a receiver: the block with that tag, of another image, to `into` (kPage_bytes). False: it isn't here (any more).
using FindBlock = std::function<bool(const BlockTag& tag, ByteSpan into)>;

// A value: a piece as it is to be sent.
struct ParcelPiece {
  std::uint64_t piece{0};
  std::uint16_t sent{0xFFFF};                  // bit n: the bytes of block n come along
  std::array<BlockTag, kPiece_blocks> tags{};  // of the other blocks
};

struct Parcel {
  ByteVector bytes;
  std::size_t pieces{0};  // the first so many of those that were to be sent: more would have been too long
};

// At least one piece, at most kParcelPieces of `pieces`. Errors: those of Pieces::read().
[[nodiscard]] Result<Parcel> make_parcel(Pieces& image, std::span<const ParcelPiece> pieces, int level = kParcelLevel,
                                         const ChoosePrefix& choose = {});

// What became of a parcel. A piece of which a block wasn't found, or that was put together to something else than its
// digest says, is refused: it must come whole.
struct ParcelTaken {
  std::uint64_t pieces{0};
  std::vector<std::uint64_t> refused;
  // What it was compressed against is not here, or is something else: nothing of it could be read. It must come
  // without.
  bool lacks_prefix{false};
};

// Puts what is in it into `image`, which has its list. Takes at most 21 MiB of memory for the time. `read`: absent
// where none is taken that was compressed against anything. Errors: protocol (no parcel, or pieces that `image` doesn't
// have), exhausted, io. Pieces put before stay.
[[nodiscard]] Result<ParcelTaken> take_parcel(ByteView parcel, Pieces& image, const FindBlock& find,
                                              const ReadPrefix& read = {});

}  // namespace godwit::image
