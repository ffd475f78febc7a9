// A piece in parts: its blocks go on as they come, each checked, before all of them are here. In a chain of very many
// hosts the time until the last one has its first piece is what a hop waits for, as often as there are hops: so little
// is waited for. Pure. docs/protocols/chain.md.
#pragma once

#include "crypto/block_digests.h"
#include "image/chain_frames.h"
#include "image/piece_tree.h"

namespace godwit::image::chain {

inline constexpr std::size_t kFewHosts = 64;     // a chain of fewer has pieces whole
inline constexpr std::uint64_t kPartsFrom = 64;  // so has one whose image has so many pieces a host: parts have a price
inline constexpr std::size_t kLongestRun = 8;    // blocks

// Of how many blocks a run shall be, in a chain of so many hosts; 0: pieces go whole.
[[nodiscard]] std::size_t run_blocks(std::size_t hosts, std::uint64_t pieces);

// The list's frames are as long as runs, for they have as many hops before them.
[[nodiscard]] constexpr std::size_t list_digests(std::size_t run_blocks) {
  return run_blocks == 0 ? kListDigests : run_blocks * kPage_bytes / kDigest_bytes;
}

// Before the first run of a piece: the digests of its blocks, of which the list's one is made.
struct Blocks {
  std::uint64_t number{0};
  ByteView digests;  // kPieceBlocks_bytes, of the frame
};
[[nodiscard]] ByteVector pack(const Blocks& message);
// Errors: protocol.
[[nodiscard]] Result<Blocks> parse_blocks(ByteView body);
// `content`: 1 to 16 blocks, those that follow what was sent of the piece.
[[nodiscard]] ByteVector pack_run(ByteView content);

// Shared by the connection that it comes by and those that it goes on by. What of it is here has been checked.
class PartialPiece {
 public:
  // One of which everything is here already.
  PartialPiece(crypto::BlockDigests& digester, std::uint64_t number, std::shared_ptr<Frame> frame);
  // One that comes. `digests`: kPieceBlocks_bytes that are the piece's.
  PartialPiece(const Blocks& blocks, std::shared_ptr<Frame> frame);

  [[nodiscard]] std::uint64_t number() const { return number_; }
  [[nodiscard]] std::size_t blocks_here() const { return here_; }
  [[nodiscard]] bool is_whole() const { return here_ == kPiece_blocks; }
  [[nodiscard]] Blocks blocks() const { return {number_, digests_}; }
  [[nodiscard]] ByteView content(std::size_t first, std::size_t count) const {
    return ByteView(frame_->content()).subspan(first * kPage_bytes, count * kPage_bytes);
  }
  // Where the next `bytes` belong; empty: no run can have so many now.
  [[nodiscard]] ByteSpan space(std::size_t bytes);
  // They have been written there. Errors: not_authentic (a digest is another; nothing of them is here then).
  [[nodiscard]] Result<> add(crypto::BlockDigests& digester, std::size_t bytes);
  [[nodiscard]] const std::shared_ptr<Frame>& frame() const { return frame_; }

  void lose() { is_lost_ = true; }  // no more of it comes
  [[nodiscard]] bool is_lost() const { return is_lost_; }

 private:
  std::uint64_t number_;
  std::shared_ptr<Frame> frame_;
  std::array<std::byte, kPieceBlocks_bytes> digests_{};
  std::size_t here_{0};
  bool is_lost_{false};
};

}  // namespace godwit::image::chain
