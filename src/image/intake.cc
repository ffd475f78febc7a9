#include "image/intake.h"

#include <algorithm>

namespace godwit::image {
namespace {

constexpr std::string_view kUser = "who brings it";
constexpr std::uint64_t kIndexAtOnce = 16'384;  // pieces, a call: 1 GiB of content
constexpr std::size_t kTags_bytes = kPiece_blocks * sizeof(BlockTag);

std::vector<wire::PieceRange> missing_of(const StoredImage& image) {
  std::vector<wire::PieceRange> out;
  for (std::uint64_t piece = 0; piece < image.count(); ++piece) {
    if (image.has(piece)) continue;
    if (!out.empty() && out.back().first + out.back().count == piece) {
      ++out.back().count;
    } else if (out.size() < wire::kMissingRanges) {
      out.push_back({piece, 1});
    } else {
      break;
    }
  }
  return out;
}

wire::ImageContent content_of(const StoredImage& image) {
  wire::ImageContent out;
  out.id = image.id();
  out.bytes = bytes_of(image.manifest());
  out.pieces = pieces_of(image.manifest());
  out.has_list = image.has_list();
  if (!out.has_list) return out;
  out.here = image.count() - image.missing();
  out.missing = missing_of(image);
  return out;
}

}  // namespace

Result<wire::ImageContent> Intake::offer(const wire::ImageOffer& offer) {
  const auto lease = repository_.begin(offer.manifest, {}, std::string(kUser));
  if (!lease) return fail(lease, "image");
  return content_of(**lease);
}

Result<wire::ImageContent> Intake::look(const std::string& id) {
  const auto lease = repository_.open(id, std::string(kUser));
  if (!lease) return pass(lease);
  return content_of(**lease);
}

Result<> Intake::set_list(const std::string& id, ByteView list) {
  const auto lease = repository_.open(id, std::string(kUser));
  if (!lease) return pass(lease);
  return (*lease)->has_list() ? Result<>{} : (*lease)->set_list(list);
}

// Of the last few transfers; another one's index is made anew when it goes on.
KnownBlocks& Intake::known_to(const IntakeCaller& caller, const std::string& id) {
  const auto mine = [&](const Transfer& each) { return each.who == caller.who && each.id == id; };
  const auto found = std::ranges::find_if(transfers_, mine);
  if (found != transfers_.end()) {
    transfers_.splice(transfers_.begin(), transfers_, found);
  } else {
    transfers_.push_front(
        {caller.who, id, std::make_unique<KnownBlocks>(repository_, id, kKnownBlocks_bytes, caller.may_use)});
    if (transfers_.size() > kIntakeTransfers) transfers_.pop_back();
  }
  auto& known = *transfers_.front().known;
  static_cast<void>(known.advance(kIndexAtOnce));
  return known;
}

void Intake::forget(const std::string& id) {
  transfers_.remove_if([&](const Transfer& each) { return each.id == id; });
}

Result<std::string> Intake::known(const IntakeCaller& caller, const std::string& id, ByteView tags) {
  const auto lease = repository_.open(id, std::string(kUser));
  if (!lease) return pass(lease);
  if (tags.empty() || tags.size() % kTags_bytes != 0 || tags.size() / kTags_bytes > kParcelPieces) {
    return fail(Errc::protocol, "image blocks: {} bytes are not the tags of 1 to {} pieces", tags.size(),
                kParcelPieces);
  }
  auto& known = known_to(caller, id);
  std::array<std::byte, kPage_bytes> block{};
  std::string out;
  for (std::size_t at = 0; at < tags.size(); at += kTags_bytes) {
    std::uint16_t bits = 0;
    for (std::size_t i = 0; i < kPiece_blocks; ++i) {
      const bool is_here = known.read(tags.subspan(at + i * sizeof(BlockTag), sizeof(BlockTag)), block);
      if (is_here) bits = static_cast<std::uint16_t>(bits | 1U << i);
    }
    std::array<std::byte, 2> two{};
    store_be16(two, bits);
    out += as_text(two);
  }
  return out;
}

Result<wire::ParcelReceipt> Intake::take(const IntakeCaller& caller, const std::string& id, ByteView parcel) {
  const auto lease = repository_.open(id, std::string(kUser));
  if (!lease) return pass(lease);
  if (!(*lease)->has_list()) return fail(Errc::conflict, "image {:.12}…: its list comes first", id);
  auto taken = take_parcel(parcel, **lease,
                           [&](const BlockTag& tag, ByteSpan into) { return known_to(caller, id).read(tag, into); });
  if (!taken) return pass(taken);
  if ((*lease)->complete()) forget(id);
  return wire::ParcelReceipt{taken->pieces, std::move(taken->refused)};
}

}  // namespace godwit::image
