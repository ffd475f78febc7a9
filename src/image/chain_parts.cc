#include "image/chain_parts.h"

#include "base/assert.h"

#include <algorithm>
#include <cmath>

namespace godwit::image::chain {
namespace {

constexpr std::size_t kNumber_bytes = 8;

ByteVector head_of(Type type, std::size_t body_bytes) {
  ByteVector frame;
  frame.reserve(kHead_bytes + body_bytes);
  append_be32(frame, static_cast<std::uint32_t>(body_bytes));
  append_be32(frame, static_cast<std::uint32_t>(type) << 24U);
  return frame;
}

}  // namespace

// A chain's fill is hosts * run; what runs cost (a frame, a record of TLS, a system call or two on each side) is as
// much as 256 bytes on a fast link, pieces * piece / run times. Their sum is least at sqrt(256 * pieces * piece /
// hosts) bytes, whatever the rate.
std::size_t run_blocks(std::size_t hosts, std::uint64_t pieces) {
  if (hosts < kFewHosts || pieces >= kPartsFrom * hosts) return 0;
  const auto best = std::sqrt(static_cast<double>(pieces) / static_cast<double>(hosts));
  return std::clamp<std::size_t>(static_cast<std::size_t>(best), 1, kLongestRun);
}

ByteVector pack(const Blocks& message) {
  GODWIT_ASSERT(message.digests.size() == kPieceBlocks_bytes);
  auto frame = head_of(Type::blocks, kNumber_bytes + kPieceBlocks_bytes);
  append_be64(frame, message.number);
  append(frame, message.digests);
  return frame;
}

Result<Blocks> parse_blocks(ByteView body) {
  if (body.size() != kNumber_bytes + kPieceBlocks_bytes || load_be64(body) >= kPiecesLimit) {
    return fail(Errc::protocol, "chain: a malformed blocks");
  }
  return Blocks{load_be64(body), body.subspan(kNumber_bytes)};
}

ByteVector pack_run(ByteView content) {
  GODWIT_ASSERT(!content.empty() && content.size() % kPage_bytes == 0 && content.size() <= kPiece_bytes);
  auto frame = head_of(Type::run, content.size());
  append(frame, content);
  return frame;
}

PartialPiece::PartialPiece(crypto::BlockDigests& digester, std::uint64_t number, std::shared_ptr<Frame> frame)
    : number_(number), frame_(std::move(frame)), here_(kPiece_blocks) {
  digester.digest(ByteView(frame_->content()), digests_);
}

PartialPiece::PartialPiece(const Blocks& blocks, std::shared_ptr<Frame> frame)
    : number_(blocks.number), frame_(std::move(frame)) {
  std::ranges::copy(blocks.digests, digests_.begin());
}

ByteSpan PartialPiece::space(std::size_t bytes) {
  const auto rest = frame_->content().subspan(here_ * kPage_bytes);
  return bytes % kPage_bytes != 0 || bytes > rest.size() ? ByteSpan() : rest.first(bytes);
}

Result<> PartialPiece::add(crypto::BlockDigests& digester, std::size_t bytes) {
  const auto count = bytes / kPage_bytes;
  std::array<std::byte, kPieceBlocks_bytes> found;
  const auto digests = ByteSpan(found).first(count * kDigest_bytes);
  digester.digest(content(here_, count), digests);
  if (!std::ranges::equal(digests, ByteView(digests_).subspan(here_ * kDigest_bytes, digests.size()))) {
    return fail(Errc::not_authentic, "piece {}: a block's digest is another", number_);
  }
  here_ += count;
  return {};
}

}  // namespace godwit::image::chain
