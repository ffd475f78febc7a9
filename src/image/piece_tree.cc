#include "image/piece_tree.h"

#include "base/assert.h"

namespace godwit::image {
namespace {

// With its zero: no list of digests begins so.
constexpr std::string_view kRootDomain{"godwit image file\0", 18};

PieceDigest make_zero_piece() {
  ByteVector blocks;
  for (std::size_t i = 0; i < kPiece_blocks; ++i) append(blocks, zero_block());
  return piece_of_blocks(blocks);
}

}  // namespace

PieceDigest piece_of_blocks(ByteView blocks) {
  GODWIT_ASSERT(blocks.size() == kPieceBlocks_bytes);
  return crypto::sha256(blocks);
}

Digest root_of(std::uint64_t file_bytes, ByteView pieces) {
  GODWIT_ASSERT(pieces.size() == pieces_of(file_bytes) * kDigest_bytes);
  RootDigest digest(file_bytes);
  digest.add(pieces);
  return digest.finish();
}

RootDigest::RootDigest(std::uint64_t file_bytes) {
  ByteVector head;
  append(head, as_bytes(kRootDomain));
  append_be64(head, file_bytes);
  digest_.update(head);
}

const Digest& zero_block() {
  static const Digest digest = crypto::sha256(ByteVector(kPage_bytes));
  return digest;
}

const PieceDigest& zero_piece() {
  static const PieceDigest digest = make_zero_piece();
  return digest;
}

}  // namespace godwit::image
