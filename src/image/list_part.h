// A part of an image's list of digests as it travels between stores: one zstd frame, in which the digests of pieces of
// zeros, all the same, take next to nothing. Pure. docs/protocols/image-store.md
#pragma once

#include "image/manifest.h"
#include "image/pieces.h"

#include <string>

namespace godwit::image {

inline constexpr std::uint64_t kListPartPieces = 65'536;  // of one part: 2 MiB, of 4 GiB of the image
inline constexpr std::size_t kListPart_bytes = kListPartPieces * kDigest_bytes;

// The digests of the pieces from `first` on, at most so many, of an image whose list is here. Errors: invalid_argument
// (there are none).
[[nodiscard]] Result<std::string> make_list_part(const Pieces& image, std::uint64_t first);
// `digests`: at most kListPart_bytes.
[[nodiscard]] std::string pack_list_part(ByteView digests);
// What pack_list_part() was given; at most so many bytes. Errors: invalid_argument.
[[nodiscard]] Result<ByteVector> open_list_part(ByteView part);

}  // namespace godwit::image
