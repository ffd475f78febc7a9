#include "image/parcel.h"

#include <zstd.h>

#include <algorithm>
#include <bit>
#include <memory>

namespace godwit::image {
namespace {

constexpr std::array<std::byte, 4> kMagic{std::byte{'G'}, std::byte{'W'}, std::byte{'P'}, std::byte{1}};
constexpr std::size_t kHead_bytes = kMagic.size() + 4;
constexpr std::size_t kEntry_bytes = 4 + 2;
constexpr std::size_t kBodyLimit_bytes = kParcelPieces * (kEntry_bytes + kPiece_bytes);
constexpr int kWindowLog = 24;  // all of a parcel

std::size_t entry_bytes(const ParcelPiece& piece) {
  return kEntry_bytes + (kPiece_blocks - static_cast<std::size_t>(std::popcount(piece.sent))) * sizeof(BlockTag);
}

void append_entry(ByteVector& out, const ParcelPiece& piece) {
  append_be32(out, static_cast<std::uint32_t>(piece.piece));
  append_be16(out, piece.sent);
  for (std::size_t block = 0; block < kPiece_blocks; ++block) {
    if ((piece.sent >> block & 1U) == 0) append(out, piece.tags[block]);
  }
}

Result<> append_blocks(ByteVector& out, Pieces& image, const ParcelPiece& piece) {
  if (piece.sent == 0) return {};
  std::array<std::byte, kPiece_bytes> bytes{};
  const auto read = image.read(piece.piece, bytes);
  if (!read) return read;
  for (std::size_t block = 0; block < kPiece_blocks; ++block) {
    if ((piece.sent >> block & 1U) != 0) append(out, ByteView(bytes).subspan(block * kPage_bytes, kPage_bytes));
  }
  return {};
}

Result<ByteVector> compress(ByteView body, int level) {
  const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(), &ZSTD_freeCCtx);
  if (!context) return fail(Errc::exhausted, "zstd: no memory");
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, kWindowLog);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_enableLongDistanceMatching, 1);
  ByteVector out(kHead_bytes + ZSTD_compressBound(body.size()));
  std::copy(kMagic.begin(), kMagic.end(), out.begin());
  const auto size =
      ZSTD_compress2(context.get(), out.data() + kHead_bytes, out.size() - kHead_bytes, body.data(), body.size());
  if (ZSTD_isError(size) != 0) return fail(Errc::exhausted, "zstd: {}", ZSTD_getErrorName(size));
  out.resize(kHead_bytes + size);
  return out;
}

Result<Parcel> make_of(Pieces& image, std::span<const ParcelPiece> pieces, int level) {
  ByteVector body;
  std::size_t entries = 0;
  std::size_t blocks = 0;
  for (const auto& piece : pieces) {
    entries += entry_bytes(piece);
    blocks += static_cast<std::size_t>(std::popcount(piece.sent));
  }
  body.reserve(entries + blocks * kPage_bytes);
  for (const auto& piece : pieces) append_entry(body, piece);
  for (const auto& piece : pieces) {
    const auto appended = append_blocks(body, image, piece);
    if (!appended) return pass(appended);
  }
  auto out = compress(body, level);
  if (!out) return pass(out);
  store_be32(ByteSpan(*out).subspan(kMagic.size()), static_cast<std::uint32_t>(pieces.size()));
  return Parcel{std::move(*out), pieces.size()};
}

std::unexpected<Error> no_parcel(std::string_view what) { return fail(Errc::protocol, "image parcel: {}", what); }

Result<ByteVector> decompress(ByteView compressed) {
  const auto size = ZSTD_getFrameContentSize(compressed.data(), compressed.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN)
    return no_parcel("no zstd frame of known size");
  if (size > kBodyLimit_bytes) return no_parcel("more than 256 pieces in it");
  ByteVector body(size);
  const auto got = ZSTD_decompress(body.data(), body.size(), compressed.data(), compressed.size());
  if (ZSTD_isError(got) != 0 || got != size) return no_parcel("a broken zstd frame");
  return body;
}

// Reads the body from its beginning, never past its end.
class Reader {
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}
  [[nodiscard]] bool has(std::size_t size) const { return rest_.size() >= size; }
  ByteView take(std::size_t size) {
    const auto taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

 private:
  ByteView rest_;
};

Result<std::vector<ParcelPiece>> read_entries(Reader& reader, std::size_t count, const Pieces& image) {
  std::vector<ParcelPiece> out(count);
  for (auto& each : out) {
    if (!reader.has(kEntry_bytes)) return no_parcel("cut off among its entries");
    each.piece = load_be32(reader.take(4));
    each.sent = load_be16(reader.take(2));
    if (each.piece >= image.count()) return no_parcel("a piece that the image doesn't have");
    if (!reader.has(entry_bytes(each) - kEntry_bytes)) return no_parcel("cut off among its entries");
    for (std::size_t block = 0; block < kPiece_blocks; ++block) {
      if ((each.sent >> block & 1U) != 0) continue;
      const auto tag = reader.take(sizeof(BlockTag));
      std::copy(tag.begin(), tag.end(), each.tags[block].begin());
    }
  }
  return out;
}

// False: a block that was only named isn't here.
bool put_together(const ParcelPiece& piece, Reader& reader, const FindBlock& find, ByteSpan into) {
  bool whole = true;
  for (std::size_t block = 0; block < kPiece_blocks; ++block) {
    const auto place = into.subspan(block * kPage_bytes, kPage_bytes);
    if ((piece.sent >> block & 1U) != 0) {
      const auto bytes = reader.take(kPage_bytes);
      std::copy(bytes.begin(), bytes.end(), place.begin());
    } else if (whole) {
      whole = find(piece.tags[block], place);
    }
  }
  return whole;
}

}  // namespace

Result<Parcel> make_parcel(Pieces& image, std::span<const ParcelPiece> pieces, int level) {
  auto count = std::min(pieces.size(), kParcelPieces);
  for (;;) {
    auto parcel = make_of(image, pieces.first(count), level);
    if (!parcel || parcel->bytes.size() <= kParcelLimit_bytes || count <= 1) return parcel;
    // So many as would fit if all were alike, and some less.
    const auto fitting = count * kParcelLimit_bytes / parcel->bytes.size();
    count = std::clamp<std::size_t>(fitting - fitting / 16, 1, count - 1);
  }
}

Result<ParcelTaken> take_parcel(ByteView parcel, Pieces& image, const FindBlock& find) {
  if (parcel.size() < kHead_bytes || !std::equal(kMagic.begin(), kMagic.end(), parcel.begin())) {
    return no_parcel("it doesn't begin as one");
  }
  const auto count = load_be32(parcel.subspan(kMagic.size()));
  if (count == 0 || count > kParcelPieces) return no_parcel("no pieces, or more than 256");
  const auto body = decompress(parcel.subspan(kHead_bytes));
  if (!body) return pass(body);
  Reader reader(*body);
  const auto entries = read_entries(reader, count, image);
  if (!entries) return pass(entries);
  std::size_t sent = 0;
  for (const auto& each : *entries) sent += static_cast<std::size_t>(std::popcount(each.sent));
  if (!reader.has(sent * kPage_bytes)) return no_parcel("cut off among its blocks");

  ParcelTaken taken;
  std::array<std::byte, kPiece_bytes> bytes{};
  for (const auto& each : *entries) {
    if (!put_together(each, reader, find, bytes)) {
      taken.refused.push_back(each.piece);
      continue;
    }
    const auto put = image.put(each.piece, bytes);
    if (put) {
      ++taken.pieces;
    } else if (put.error().code == Errc::not_authentic) {
      taken.refused.push_back(each.piece);
    } else {
      return pass(put);
    }
  }
  if (!reader.at_end()) return no_parcel("bytes behind its blocks");
  return taken;
}

}  // namespace godwit::image
