#include "image/list_part.h"

#include "base/assert.h"

#include <zstd.h>

#include <algorithm>

namespace godwit::image {
namespace {

constexpr int kLevel = 1;  // digests are random: there is nothing to find in them but each other

}  // namespace

Result<std::string> make_list_part(const Pieces& image, std::uint64_t first) {
  if (first >= image.count()) {
    return fail(Errc::invalid_argument, "piece list: there is no piece {}, of {}", first, image.count());
  }
  const auto end = first + std::min(kListPartPieces, image.count() - first);
  ByteVector digests;
  digests.reserve((end - first) * kDigest_bytes);
  for (auto piece = first; piece < end; ++piece) append(digests, image.digest(piece));
  return pack_list_part(digests);
}

std::string pack_list_part(ByteView digests) {
  GODWIT_ASSERT(digests.size() <= kListPart_bytes);
  std::string out(ZSTD_compressBound(digests.size()), '\0');
  const auto size = ZSTD_compress(out.data(), out.size(), digests.data(), digests.size(), kLevel);
  GODWIT_ASSERT(ZSTD_isError(size) == 0);  // there is room, and so much memory
  out.resize(size);
  return out;
}

Result<ByteVector> open_list_part(ByteView part) {
  const auto size = ZSTD_getFrameContentSize(part.data(), part.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > kListPart_bytes) {
    return fail(Errc::invalid_argument, "piece list: a part is a zstd frame of known size, of at most {} digests",
                kListPartPieces);
  }
  ByteVector digests(size);
  const auto got = ZSTD_decompress(digests.data(), digests.size(), part.data(), part.size());
  if (ZSTD_isError(got) != 0 || got != size) return fail(Errc::invalid_argument, "piece list: a broken zstd frame");
  return digests;
}

}  // namespace godwit::image
