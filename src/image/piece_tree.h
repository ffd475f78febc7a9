// How the bytes of an image's files are named: blocks of 4 KiB, pieces of 16 of them, one root a file. Pure.
// Format: docs/formats/image.md.
#pragma once

#include "base/page.h"
#include "crypto/block_digests.h"
#include "image/pieces.h"

namespace godwit::image {

inline constexpr std::size_t kPiece_blocks = kPiece_bytes / kPage_bytes;
inline constexpr std::size_t kDigest_bytes = 32;
inline constexpr std::size_t kPieceBlocks_bytes = kPiece_blocks * kDigest_bytes;  // the digests of a piece's blocks

using Digest = crypto::Sha256Digest;

// Of a file of so many bytes; the last piece is filled up with zeros.
[[nodiscard]] constexpr std::uint64_t pieces_of(std::uint64_t file_bytes) {
  return file_bytes / kPiece_bytes + (file_bytes % kPiece_bytes != 0 ? 1 : 0);
}

// `blocks`: the digests of the 16.
[[nodiscard]] PieceDigest piece_of_blocks(ByteView blocks);
// `pieces`: the digests of all of the file's.
[[nodiscard]] Digest root_of(std::uint64_t file_bytes, ByteView pieces);

// The same, of digests that come in parts, in order.
class RootDigest {
 public:
  explicit RootDigest(std::uint64_t file_bytes);
  void add(ByteView pieces) { digest_.update(pieces); }
  // Once.
  [[nodiscard]] Digest finish() { return digest_.finish(); }

 private:
  crypto::Sha256 digest_;
};

[[nodiscard]] const Digest& zero_block();
[[nodiscard]] const PieceDigest& zero_piece();

// Digests pieces as fast as this machine can. One strand.
class PieceDigester {
 public:
  PieceDigester() : blocks_(crypto::BlockDigests::fastest()) {}

  // `piece`: kPiece_bytes; `blocks`: kPieceBlocks_bytes, which get the digests of its blocks.
  [[nodiscard]] PieceDigest digest(ByteView piece, ByteSpan blocks) {
    blocks_.digest(piece, blocks);
    return piece_of_blocks(blocks);
  }
  [[nodiscard]] PieceDigest digest(ByteView piece) {
    std::array<std::byte, kPieceBlocks_bytes> blocks;
    return digest(piece, blocks);
  }

 private:
  crypto::BlockDigests blocks_;
};

}  // namespace godwit::image
