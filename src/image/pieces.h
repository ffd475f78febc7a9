// An image as it travels: pieces of 64 KiB, each known by a digest before it is here. Checked before anybody reads
// them.
#pragma once

#include "base/bytes.h"

#include <array>
#include <cstdint>

namespace godwit::image {

inline constexpr std::size_t kPiece_bytes = 64UL << 10U;  // of 16 blocks: what is fetched, checked and passed on as one
inline constexpr std::uint64_t kPiecesLimit = 1ULL << 24U;  // of one image: 1 TiB

// SHA-256 of the SHA-256s of the piece's 16 blocks of 4 KiB, in their order. docs/formats/image.md
using PieceDigest = std::array<std::byte, 32>;

// All files of one image in the manifest's order, each filled up with zeros to a whole piece. One strand.
class Pieces {
 public:
  virtual ~Pieces() = default;
  [[nodiscard]] virtual std::uint64_t count() const = 0;

  // The digests of all pieces are an image's list. Where it isn't here yet, nothing else may be asked.
  [[nodiscard]] virtual bool has_list() const = 0;
  // `list`: `count()` digests, one behind the other. Errors: not_authentic (the manifest's roots say otherwise), io.
  [[nodiscard]] virtual Result<> set_list(ByteView list) = 0;
  [[nodiscard]] virtual const PieceDigest& digest(std::uint64_t piece) const = 0;

  // A piece of zeros is here as soon as the list is.
  [[nodiscard]] virtual bool has(std::uint64_t piece) const = 0;
  [[nodiscard]] virtual bool is_zero(std::uint64_t piece) const = 0;
  // `into`: kPiece_bytes. Only of a piece that is here. Errors: io; not_authentic (the disk has it otherwise than it
  // was written: it is not here any more).
  [[nodiscard]] virtual Result<> read(std::uint64_t piece, ByteSpan into) = 0;
  // `bytes`: kPiece_bytes. When it returns the piece is here; one that was here before stays as it is.
  // Errors: not_authentic (its digest is another), exhausted (no space left), io.
  [[nodiscard]] virtual Result<> put(std::uint64_t piece, ByteView bytes) = 0;
};

}  // namespace godwit::image
