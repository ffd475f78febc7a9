#include "image/shared_blocks.h"

#include "base/zero.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <unordered_map>

namespace godwit::image {
namespace {

constexpr std::uint64_t kMostBlocks = 0xffffffffULL;  // that can be numbered, over all images

constexpr std::uint64_t kSampledPieces = 32'768;  // of an image: 256 KiB of their digests' beginnings

// The beginnings of some pieces' digests, ascending: of those whose next bits are 0, the same in all images.
class Sample {
 public:
  explicit Sample(const Pieces& image) {
    while ((image.count() >> bits_) > kSampledPieces) ++bits_;
    for (std::uint64_t piece = 0; piece < image.count(); ++piece) {
      if (is_in(image, piece)) heads_.push_back(head_of(image.digest(piece)));
    }
    std::ranges::sort(heads_);
  }

  // Pieces of the other image that are in the sample too.
  [[nodiscard]] std::uint64_t in_common(const Pieces& image) const {
    std::uint64_t count = 0;
    for (std::uint64_t piece = 0; piece < image.count(); ++piece) {
      if (is_in(image, piece) && std::ranges::binary_search(heads_, head_of(image.digest(piece)))) ++count;
    }
    return count;
  }

 private:
  static std::uint64_t head_of(const PieceDigest& digest) { return load_be64(digest); }
  [[nodiscard]] bool is_in(const Pieces& image, std::uint64_t piece) const {
    const auto next = load_be64(ByteView(image.digest(piece)).subspan(sizeof(std::uint64_t)));
    return (next & ((1ULL << bits_) - 1)) == 0 && !image.is_zero(piece);
  }

  unsigned bits_{0};
  std::vector<std::uint64_t> heads_;
};

}  // namespace

sys::Task<std::vector<Lease>> siblings_of(sys::Executor executor, Repository& images, ImageId id, const Pieces& image) {
  const Sample sample(image);
  auto all = images.list();
  std::erase_if(all, [&](const ImageStatus& each) { return each.id == id || !each.complete(); });
  std::ranges::sort(all, std::ranges::greater{}, &ImageStatus::last_used);
  all.resize(std::min(all.size(), kLookedAtImages));
  std::vector<std::pair<std::uint64_t, Lease>> found;
  for (const auto& each : all) {
    co_await boost::asio::post(executor, boost::asio::use_awaitable);
    auto lease = images.open(each.id, "what images have in common", Purpose::look);
    if (!lease || !(*lease)->complete()) continue;
    const auto common = sample.in_common(**lease);
    if (common > 0) found.emplace_back(common, std::move(*lease));
    std::ranges::sort(found, [](const auto& a, const auto& b) { return a.first > b.first; });
    if (found.size() > kPrefixImages) found.pop_back();
  }
  std::vector<Lease> out;
  for (auto& [common, lease] : found) out.push_back(std::move(lease));
  co_return out;
}

std::vector<Lease> worth_looking_at(std::vector<Lease> siblings, std::uint64_t travelling) {
  std::uint64_t looked_at = 0;
  std::erase_if(siblings, [&](const Lease& each) {
    const bool worth_it = looked_at + each->solid() <= travelling * kLookedFor;
    if (worth_it) looked_at += each->solid();
    return !worth_it;
  });
  return siblings;
}

SharedBlocks::SharedBlocks(Pieces& image, std::vector<Lease> siblings, std::size_t similar_bytes)
    : siblings_(std::move(siblings)), similar_(similar_bytes) {
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
    if (!similar_.add(sketch_of(block), static_cast<std::uint32_t>(number))) return false;
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
  std::vector<BlockSketch> sketches;
  for (std::size_t at = 0; at < blocks.size(); at += kPage_bytes) {
    sketches.push_back(sketch_of(blocks.subspan(at, kPage_bytes)));
  }
  return prefix_for(sketches);
}

ParcelPrefix SharedBlocks::prefix_for(std::span<const BlockSketch> blocks) {
  std::unordered_map<std::uint32_t, std::uint32_t> common;  // of each block that is like some of them
  for (const auto& block : blocks) {
    for (const auto& each : similar_.find(block)) common[each.number] += each.common;
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

bool SharedBlocks::read_block(const ImageId& image, std::uint64_t block, ByteSpan into) {
  std::size_t source = 0;
  while (source < sources_.size() && (source == 0 ? ImageId() : siblings_[source - 1]->id()) != image) ++source;
  if (source == sources_.size() || block / kPiece_blocks >= sources_[source].image->count()) return false;
  const auto piece = read(sources_[source], block / kPiece_blocks);
  if (!piece) return false;
  std::ranges::copy(piece->subspan(block % kPiece_blocks * kPage_bytes, kPage_bytes), into.begin());
  return true;
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
