#include "image/known_blocks.h"

#include "base/assert.h"

#include <algorithm>

namespace godwit::image {
namespace {

constexpr std::size_t kFirstSlots = 1UL << 14U;
constexpr std::uint64_t kMostBlocks = 0xfffffffeULL;  // that a slot can name

std::uint32_t tag_of(ByteView digest) { return load_be32(digest); }

bool is(ByteView digest, const Digest& other) { return std::ranges::equal(digest, other); }

}  // namespace

KnownBlocks::KnownBlocks(Repository& images, const ImageId& but, std::size_t limit_bytes,
                         const std::function<bool(const ImageId&)>& may_use)
    : limit_bytes_(limit_bytes) {
  std::uint64_t blocks = 0;
  for (const auto& each : images.list()) {
    if (each.id == but || !each.complete() || (may_use && !may_use(each.id))) continue;
    auto image = images.open(each.id, "what images have in common", Purpose::look);
    if (!image) continue;
    const auto more = (*image)->count() * kPiece_blocks;
    if (more > kMostBlocks - blocks) break;
    images_.push_back({std::move(*image), blocks});
    blocks += more;
  }
}

// ---- indexing

bool KnownBlocks::advance(std::uint64_t pieces) {
  while (pieces > 0 && image_ < images_.size() && !full_) {
    const auto& of = images_[image_];
    if (piece_ == of.image->count()) {
      ++image_;
      piece_ = 0;
      continue;
    }
    const auto piece = piece_++;
    if (of.image->is_zero(piece) || !of.image->has(piece)) continue;
    full_ = !index(of, piece);
    --pieces;
  }
  return image_ < images_.size() && !full_;
}

bool KnownBlocks::index(const Indexed& of, std::uint64_t piece) {
  std::array<std::byte, kPieceBlocks_bytes> blocks;
  if (!of.image->read_blocks(piece, blocks)) return true;  // found bad just now: then without it
  for (std::size_t i = 0; i < kPiece_blocks; ++i) {
    const auto digest = ByteView(blocks).subspan(i * kDigest_bytes, kDigest_bytes);
    if (is(digest, zero_block())) continue;
    const auto place = of.first_block + piece * kPiece_blocks + i + 1;
    if (!add(tag_of(digest), static_cast<std::uint32_t>(place))) return false;
  }
  return true;
}

// Two thirds at most are used, so that a search ends soon.
bool KnownBlocks::add(std::uint32_t tag, std::uint32_t place) {
  if ((used_ + 1) * 3 > slots_.size() * 2 && !grow()) return false;
  auto at = tag & (slots_.size() - 1);
  while (slots_[at].place != 0) at = (at + 1) & (slots_.size() - 1);
  slots_[at] = {tag, place};
  ++used_;
  return true;
}

bool KnownBlocks::grow() {
  const auto more = slots_.empty() ? kFirstSlots : slots_.size() * 2;
  if (more * sizeof(Slot) > limit_bytes_) return false;
  auto old = std::exchange(slots_, std::vector<Slot>(more));
  used_ = 0;
  for (const auto& each : old) {
    if (each.place != 0) (void)add(each.tag, each.place);
  }
  return true;
}

// ---- finding

StoredImage::Known KnownBlocks::at(std::uint64_t place) const {
  const auto block = place - 1;
  const auto after = std::ranges::upper_bound(images_, block, {}, &Indexed::first_block);
  const auto& of = *std::prev(after);
  return {of.image.get(), block - of.first_block};
}

bool KnownBlocks::take(const StoredImage::Known& known, ByteView digest, ByteSpan into) {
  auto& image = *known.image;
  if (known.block >= image.count() * kPiece_blocks || !image.has(known.block / kPiece_blocks)) return false;
  std::array<std::byte, kPieceBlocks_bytes> blocks;
  if (!image.read_blocks(known.block / kPiece_blocks, blocks)) return false;
  const auto said = ByteView(blocks).subspan(known.block % kPiece_blocks * kDigest_bytes, kDigest_bytes);
  if (!std::ranges::equal(said.first(digest.size()), digest) || !image.read_block(known.block, into)) return false;
  std::array<std::byte, kDigest_bytes> found;
  digests_.digest(into, found);
  return std::ranges::equal(ByteView(found).first(digest.size()), digest);
}

StoredImage::Known KnownBlocks::find(ByteView digest, ByteSpan into) {
  if (last_.image) {
    const StoredImage::Known next{last_.image, last_.block + 1};
    if (take(next, digest, into)) return next;
  }
  if (slots_.empty()) return {};
  const auto tag = tag_of(digest);
  for (auto slot = tag & (slots_.size() - 1); slots_[slot].place != 0; slot = (slot + 1) & (slots_.size() - 1)) {
    if (slots_[slot].tag != tag) continue;
    const auto known = at(slots_[slot].place);
    if (take(known, digest, into)) return known;
  }
  return {};
}

bool KnownBlocks::read(ByteView digest, ByteSpan into) {
  const auto known = find(digest, into);
  if (known.image) last_ = known;
  return known.image != nullptr;
}

Result<KnownBlocks::Assembled> KnownBlocks::assemble(const StoredImage& image, std::uint64_t piece, ByteView blocks) {
  if (blocks.size() != kPieceBlocks_bytes || piece_of_blocks(blocks) != image.digest(piece)) {
    return fail(Errc::not_authentic, "image {}: piece {} has other blocks", ami_of(image.id()), piece);
  }
  Assembled out;
  out.bytes.resize(kPiece_bytes);
  for (std::size_t i = 0; i < kPiece_blocks; ++i) {
    const auto digest = blocks.subspan(i * kDigest_bytes, kDigest_bytes);
    if (is(digest, zero_block())) continue;
    const auto into = ByteSpan(out.bytes).subspan(i * kPage_bytes, kPage_bytes);
    out.known[i] = find(digest, into);
    if (out.known[i].image) {
      last_ = out.known[i];
      continue;
    }
    std::ranges::fill(into, std::byte{0});
    out.missing |= 1U << i;
  }
  return out;
}

}  // namespace godwit::image
