// What a store of images answers those who take one from it: the giving end of image/retrieval.h, call by call.
// docs/protocols/image-store.md
#pragma once

#include "image/parcel.h"
#include "image/repository.h"
#include "wire/image.h"

#include <functional>
#include <string>

namespace godwit::image {

// A store has other things to do: 4 MiB take 20 ms at this level. Who takes an image asks for so much at a time.
inline constexpr int kOutletLevel = 3;
inline constexpr std::size_t kPiecesAWish = 64;

inline constexpr std::size_t kPieceNumber_bytes = 4;
inline constexpr std::size_t kPieceTags_bytes = kPiece_blocks * sizeof(BlockTag);
inline constexpr std::size_t kPieceWish_bytes = kPieceNumber_bytes + 2;

// That the caller may use an image; absent: every one.
using MayUse = std::function<bool(const ImageId& id)>;

// One strand. That the caller may use the image has been checked; what they say is hostile. Only of images that are
// whole. Errors of all: not_found, conflict (it is not whole), io.
class Outlet {
 public:
  explicit Outlet(Repository& repository) : repository_(repository) {}

  [[nodiscard]] Result<wire::ImageOffer> offer(const std::string& id);
  // A part of its list (image/list_part.h), from piece `first` on. Errors: invalid_argument (there is none).
  [[nodiscard]] Result<std::string> list(const std::string& id, std::uint64_t first);
  // `pieces`: their numbers, 4 bytes each, big-endian, at most kParcelPieces. The answer: 16 tags a piece
  // (image/parcel.h). Errors: protocol.
  [[nodiscard]] Result<std::string> tags(const std::string& id, ByteView pieces);
  // `wishes`: a number and 2 bytes each, bit n: block n is to come. The answer: a parcel of the first so many. Errors:
  // protocol.
  [[nodiscard]] Result<std::string> parcel(const std::string& id, ByteView wishes);
  // `wishes`: likewise. The answer: of each block that is to come its sketch (image/similar_blocks.h), by which the
  // caller finds what they have that is like it. Errors: protocol.
  [[nodiscard]] Result<std::string> sketches(const std::string& id, ByteView wishes);
  // `wishes`: likewise, and before them what both have (image/parcel_prefix.h): blocks of this image, and of others
  // that are whole here and that the caller `may_use`. The answer: a parcel that is compressed against that, or, where
  // something of it is not here, one that stands alone. Errors: protocol.
  [[nodiscard]] Result<std::string> differences(const std::string& id, ByteView wishes, const MayUse& may_use);

 private:
  [[nodiscard]] Result<Lease> whole(const std::string& id);
  [[nodiscard]] Result<std::string> pack(StoredImage& image, ByteView wishes, const ChoosePrefix& choose);

  Repository& repository_;
};

}  // namespace godwit::image
