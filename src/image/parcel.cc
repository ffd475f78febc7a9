#include "image/parcel.h"

#include <zstd.h>

#include <algorithm>
#include <bit>
#include <memory>

namespace godwit::image {
namespace {

constexpr std::array<std::byte, 3> kMagic{std::byte{'G'}, std::byte{'W'}, std::byte{'P'}};
constexpr std::byte kAlone{1};       // version: of a parcel that stands alone
constexpr std::byte kWithPrefix{2};  // of one that is compressed against a prefix
constexpr std::size_t kHead_bytes = kMagic.size() + 1 + 4;
constexpr std::size_t kEntry_bytes = 4 + 2;
constexpr std::size_t kBodyLimit_bytes = kParcelPieces * (kEntry_bytes + kPiece_bytes);
constexpr int kWindowLog = 25;  // all of a parcel, and its prefix

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

using Context = std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)>;

// Behind the head that is in `out`.
Result<> compress(ByteView body, const ParcelPrefix& prefix, int level, ByteVector& out) {
  const Context context(ZSTD_createCCtx(), &ZSTD_freeCCtx);
  if (!context) return fail(Errc::exhausted, "zstd: no memory");
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, kWindowLog);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_enableLongDistanceMatching, 1);
  if (!prefix.runs.empty()) {
    // The check tells a receiver that has something else there.
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_refPrefix(context.get(), prefix.bytes.data(), prefix.bytes.size());
  }
  const auto head = out.size();
  out.resize(head + ZSTD_compressBound(body.size()));
  const auto size = ZSTD_compress2(context.get(), out.data() + head, out.size() - head, body.data(), body.size());
  if (ZSTD_isError(size) != 0) return fail(Errc::exhausted, "zstd: {}", ZSTD_getErrorName(size));
  out.resize(head + size);
  return {};
}

Result<Parcel> make_of(Pieces& image, std::span<const ParcelPiece> pieces, int level, const ChoosePrefix& choose) {
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
  const auto prefix = choose ? choose(ByteView(body).subspan(entries)) : ParcelPrefix{};
  ByteVector out(kMagic.begin(), kMagic.end());
  out.push_back(prefix.runs.empty() ? kAlone : kWithPrefix);
  append_be32(out, static_cast<std::uint32_t>(pieces.size()));
  if (!prefix.runs.empty()) append_prefix(out, prefix);
  const auto compressed = compress(body, prefix, level, out);
  if (!compressed) return pass(compressed);
  return Parcel{std::move(out), pieces.size()};
}

std::unexpected<Error> no_parcel(std::string_view what) { return fail(Errc::protocol, "image parcel: {}", what); }

std::size_t content_bytes(ByteView compressed) {
  const auto size = ZSTD_getFrameContentSize(compressed.data(), compressed.size());
  return size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN ? kBodyLimit_bytes + 1 : size;
}

// Empty: it is broken, or was compressed against something else.
Result<ByteVector> decompress(ByteView compressed, ByteView prefix) {
  const auto size = content_bytes(compressed);
  if (size > kBodyLimit_bytes) return no_parcel("no zstd frame of known size, or more than 256 pieces in it");
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
  if (!context) return fail(Errc::exhausted, "zstd: no memory");
  if (!prefix.empty()) ZSTD_DCtx_refPrefix(context.get(), prefix.data(), prefix.size());
  ByteVector body(size);
  const auto got = ZSTD_decompressDCtx(context.get(), body.data(), body.size(), compressed.data(), compressed.size());
  if (ZSTD_isError(got) != 0 || got != size) body.clear();
  return body;
}

struct Opened {
  std::size_t pieces{0};
  ByteVector body;  // empty: what it is compressed against is not here
};

Result<Opened> open_parcel(ByteView parcel, const ReadPrefix& read) {
  if (parcel.size() < kHead_bytes || !std::equal(kMagic.begin(), kMagic.end(), parcel.begin())) {
    return no_parcel("it doesn't begin as one");
  }
  const auto version = parcel[kMagic.size()];
  if (version != kAlone && (version != kWithPrefix || !read)) return no_parcel("of a version that is not taken here");
  const auto count = load_be32(parcel.subspan(kMagic.size() + 1));
  if (count == 0 || count > kParcelPieces) return no_parcel("no pieces, or more than 256");
  auto rest = parcel.subspan(kHead_bytes);
  ParcelPrefix prefix;
  if (version == kWithPrefix) {
    auto said = take_prefix(rest);
    if (!said) return pass(said);
    prefix = std::move(*said);
    if (!read_prefix(prefix, read)) return Opened{count, {}};
  }
  auto body = decompress(rest, prefix.bytes);
  if (!body) return pass(body);
  if (body->empty() && version == kAlone) return no_parcel("a broken zstd frame");
  return Opened{count, std::move(*body)};
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

Result<Parcel> make_parcel(Pieces& image, std::span<const ParcelPiece> pieces, int level, const ChoosePrefix& choose) {
  auto count = std::min(pieces.size(), kParcelPieces);
  for (;;) {
    auto parcel = make_of(image, pieces.first(count), level, choose);
    if (!parcel || parcel->bytes.size() <= kParcelLimit_bytes || count <= 1) return parcel;
    // So many as would fit if all were alike, and some less.
    const auto fitting = count * kParcelLimit_bytes / parcel->bytes.size();
    count = std::clamp<std::size_t>(fitting - fitting / 16, 1, count - 1);
  }
}

Result<ParcelTaken> take_parcel(ByteView parcel, Pieces& image, const FindBlock& find, const ReadPrefix& read) {
  const auto opened = open_parcel(parcel, read);
  if (!opened) return pass(opened);
  if (opened->body.empty()) return ParcelTaken{0, {}, true};
  Reader reader(opened->body);
  const auto entries = read_entries(reader, opened->pieces, image);
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
