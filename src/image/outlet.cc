#include "image/outlet.h"

#include "image/list_part.h"
#include "image/similar_blocks.h"

#include <algorithm>
#include <map>

namespace godwit::image {
namespace {

constexpr std::string_view kUser = "who takes it";

// So many entries of `size` bytes each, whose first 4 are a piece's number.
Result<std::vector<ParcelPiece>> pieces_of_wishes(const StoredImage& image, ByteView bytes, std::size_t size) {
  const auto count = bytes.size() / size;
  if (bytes.empty() || bytes.size() % size != 0 || count > kParcelPieces) {
    return fail(Errc::protocol, "image: {} bytes do not name 1 to {} pieces", bytes.size(), kParcelPieces);
  }
  std::vector<ParcelPiece> out(count);
  for (std::size_t i = 0; i < count; ++i) {
    out[i].piece = load_be32(bytes.subspan(i * size));
    if (out[i].piece >= image.count()) {
      return fail(Errc::protocol, "image: there is no piece {}, of {}", out[i].piece, image.count());
    }
    if (size == kPieceWish_bytes) out[i].sent = load_be16(bytes.subspan(i * size + kPieceNumber_bytes));
  }
  return out;
}

Result<> add_tags(StoredImage& image, ParcelPiece& piece) {
  std::array<std::byte, kPieceBlocks_bytes> digests{};
  const auto read = image.read_blocks(piece.piece, digests);
  if (!read) return read;
  for (std::size_t block = 0; block < kPiece_blocks; ++block) {
    std::ranges::copy(ByteView(digests).subspan(block * kDigest_bytes, sizeof(BlockTag)), piece.tags[block].begin());
  }
  return {};
}

}  // namespace

Result<Lease> Outlet::whole(const std::string& id) {
  auto lease = repository_.open(id, std::string(kUser));
  if (!lease || (*lease)->complete()) return lease;
  return fail(Errc::conflict, "image {:.12}…: it is not whole here", id);
}

Result<wire::ImageOffer> Outlet::offer(const std::string& id) {
  const auto lease = whole(id);
  if (!lease) return pass(lease);
  auto text = repository_.manifest_of(id);
  if (!text) return pass(text);
  return wire::ImageOffer{std::move(*text), ""};
}

Result<std::string> Outlet::list(const std::string& id, std::uint64_t first) {
  const auto lease = whole(id);
  if (!lease) return pass(lease);
  return make_list_part(**lease, first);
}

Result<std::string> Outlet::tags(const std::string& id, ByteView pieces) {
  const auto lease = whole(id);
  if (!lease) return pass(lease);
  auto named = pieces_of_wishes(**lease, pieces, kPieceNumber_bytes);
  if (!named) return pass(named);
  std::string out;
  for (auto& piece : *named) {
    const auto added = add_tags(**lease, piece);
    if (!added) return pass(added);
    for (const auto& tag : piece.tags) out += as_text(tag);
  }
  return out;
}

Result<std::string> Outlet::parcel(const std::string& id, ByteView wishes) {
  const auto lease = whole(id);
  if (!lease) return pass(lease);
  return pack(**lease, wishes, {});
}

Result<std::string> Outlet::pack(StoredImage& image, ByteView wishes, const ChoosePrefix& choose) {
  auto wanted = pieces_of_wishes(image, wishes, kPieceWish_bytes);
  if (!wanted) return pass(wanted);
  for (auto& piece : *wanted) {
    const auto added = piece.sent == 0xFFFF ? Result<>{} : add_tags(image, piece);
    if (!added) return pass(added);
  }
  const auto parcel = make_parcel(image, *wanted, kOutletLevel, choose);
  if (!parcel) return pass(parcel);
  return std::string(as_text(parcel->bytes));
}

// ---- compressed against what both have

Result<std::string> Outlet::sketches(const std::string& id, ByteView wishes) {
  const auto lease = whole(id);
  if (!lease) return pass(lease);
  const auto wanted = pieces_of_wishes(**lease, wishes, kPieceWish_bytes);
  if (!wanted) return pass(wanted);
  ByteVector out;
  std::array<std::byte, kPiece_bytes> bytes{};
  for (const auto& piece : *wanted) {
    if (piece.sent == 0) continue;
    const auto read = (*lease)->read(piece.piece, bytes);
    if (!read) return pass(read);
    for (std::size_t block = 0; block < kPiece_blocks; ++block) {
      if ((piece.sent >> block & 1U) == 0) continue;
      append_sketch(out, sketch_of(ByteView(bytes).subspan(block * kPage_bytes, kPage_bytes)));
    }
  }
  return std::string(as_text(out));
}

Result<std::string> Outlet::differences(const std::string& id, ByteView wishes, const MayUse& may_use) {
  const auto lease = whole(id);
  if (!lease) return pass(lease);
  auto prefix = take_prefix(wishes);
  if (!prefix) return pass(prefix);
  std::map<ImageId, Lease> known{{ImageId(), *lease}};
  const ReadPrefix read = [&](const ImageId& image, std::uint64_t block, ByteSpan into) {
    const auto [found, is_new] = known.try_emplace(image);
    if (is_new && (!may_use || may_use(image))) {
      auto other = whole(image);
      if (other) found->second = std::move(*other);
    }
    auto* from = found->second.get();
    const auto piece = block / kPiece_blocks;
    return from && piece < from->count() && from->has(piece) && from->read_block(block, into);
  };
  const bool is_here = read_prefix(*prefix, read);
  return pack(**lease, wishes, [&](ByteView) { return is_here ? *prefix : ParcelPrefix{}; });
}

}  // namespace godwit::image
