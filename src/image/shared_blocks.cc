#include "image/shared_blocks.h"

#include "base/zero.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace godwit::image {
namespace {

constexpr std::uint64_t kMostBlocks = 0xffffffffULL;  // that can be numbered, over all images

std::uint64_t head_of(const PieceDigest& digest) { return load_be64(digest); }

// Pieces of it whose digests begin as one of those.
std::uint64_t in_common(const Pieces& image, const std::unordered_set<std::uint64_t>& heads) {
  std::uint64_t count = 0;
  for (std::uint64_t piece = 0; piece < image.count(); ++piece) {
    if (!image.is_zero(piece) && heads.contains(head_of(image.digest(piece)))) ++count;
  }
  return count;
}

}  // namespace

std::vector<Lease> siblings_of(Repository& images, const ImageId& id, const Pieces& image) {
  std::unordered_set<std::uint64_t> heads;
  for (std::uint64_t piece = 0; piece < image.count(); ++piece) {
    if (!image.is_zero(piece)) heads.insert(head_of(image.digest(piece)));
  }
  auto all = images.list();
  std::erase_if(all, [&](const ImageStatus& each) { return each.id == id || !each.complete(); });
  std::ranges::sort(all, std::ranges::greater{}, &ImageStatus::last_used);
  all.resize(std::min(all.size(), kLookedAtImages));
  std::vector<std::pair<std::uint64_t, Lease>> found;
  for (const auto& each : all) {
    auto lease = images.open(each.id, "what images have in common", Purpose::look);
    if (!lease) continue;
    const auto common = in_common(**lease, heads);
    if (common > 0) found.emplace_back(common, std::move(*lease));
    std::ranges::sort(found, [](const auto& a, const auto& b) { return a.first > b.first; });
    if (found.size() > kPrefixImages) found.pop_back();
  }
  std::vector<Lease> out;
  for (auto& [common, lease] : found) out.push_back(std::move(lease));
  return out;
}

SharedBlocks::SharedBlocks(Pieces& image, std::vector<Lease> siblings) : siblings_(std::move(siblings)) {
  sources_.push_back({&image, 0});
  auto blocks = image.count() * kPiece_blocks;
  for (const auto& each : siblings_) {
    const auto more = each->count() * kPiece_blocks;
    if (more > kMostBlocks - blocks) break;
    sources_.push_back({each.get(), blocks});
    blocks += more;
  }
}

// ---- looking

bool SharedBlocks::advance(std::uint64_t pieces) {
  while (pieces > 0 && source_ < sources_.size() && !similar_.half_full()) {
    const auto& of = sources_[source_];
    if (piece_ == of.image->count()) {
      ++source_;
      piece_ = 0;
      continue;
    }
    const auto piece = piece_++;
    if (of.image->is_zero(piece)) continue;
    full_ = !index(of, piece, 0xFFFF);
    --pieces;
  }
  return source_ < sources_.size() && !similar_.half_full();
}

void SharedBlocks::arrived(const ParcelPiece& piece) {
  if (!full_ && piece.sent != 0) full_ = !index(sources_.front(), piece.piece, piece.sent);
}

bool SharedBlocks::index(const Source& of, std::uint64_t piece, std::uint16_t blocks) {
  const auto bytes = read(of, piece);
  if (!bytes) return true;  // found bad just now: then without it
  for (std::size_t i = 0; i < kPiece_blocks; ++i) {
    const auto block = bytes->subspan(i * kPage_bytes, kPage_bytes);
    if ((blocks >> i & 1U) == 0 || is_zero(block)) continue;
    const auto number = of.first_block + piece * kPiece_blocks + i;
    if (!similar_.add(block, static_cast<std::uint32_t>(number))) return false;
  }
  return true;
}

std::optional<ByteView> SharedBlocks::read(const Source& of, std::uint64_t piece) {
  if (last_.image == of.image && last_.number == piece) return last_.bytes;
  last_ = {nullptr, piece, std::move(last_.bytes)};
  last_.bytes.resize(kPiece_bytes);
  if (!of.image->has(piece) || !of.image->read(piece, last_.bytes)) return std::nullopt;
  last_.image = of.image;
  return last_.bytes;
}

// ---- choosing

const SharedBlocks::Source& SharedBlocks::source_of(std::uint64_t block) const {
  return *std::prev(std::ranges::upper_bound(sources_, block, {}, &Source::first_block));
}

ParcelPrefix SharedBlocks::prefix_for(ByteView blocks) {
  std::unordered_map<std::uint32_t, std::uint32_t> common;  // of each block that is like some of them
  for (std::size_t at = 0; at < blocks.size(); at += kPage_bytes) {
    for (const auto& each : similar_.find(blocks.subspan(at, kPage_bytes))) common[each.number] += each.common;
  }
  std::vector<std::pair<std::uint32_t, std::uint32_t>> best;  // how much, which
  for (const auto& [number, much] : common) best.emplace_back(much, number);
  std::ranges::sort(best, std::ranges::greater{});
  best.resize(std::min(best.size(), kPrefixBlocks));
  std::ranges::sort(best, {}, &std::pair<std::uint32_t, std::uint32_t>::second);
  ParcelPrefix prefix;
  for (std::size_t i = 1; i < sources_.size(); ++i) prefix.images.push_back(siblings_[i - 1]->id());
  for (const auto& [much, number] : best) append_block(prefix, number);
  return prefix;
}

void SharedBlocks::append_block(ParcelPrefix& prefix, std::uint64_t block) {
  const auto& of = source_of(block);
  const auto in_image = block - of.first_block;
  const auto piece = read(of, in_image / kPiece_blocks);
  if (!piece) return;
  append(prefix.bytes, piece->subspan(in_image % kPiece_blocks * kPage_bytes, kPage_bytes));
  const auto image = static_cast<std::uint8_t>(&of - sources_.data());
  auto& runs = prefix.runs;
  if (!runs.empty() && runs.back().image == image && runs.back().block + runs.back().blocks == in_image) {
    ++runs.back().blocks;
  } else {
    runs.push_back({image, static_cast<std::uint32_t>(in_image), 1});
  }
}

}  // namespace godwit::image
