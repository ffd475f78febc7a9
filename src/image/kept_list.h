// An image's list of digests as far as it has come in parts, in the file where the whole of it will be: who goes on
// with it begins behind them, also after a restart. docs/formats/image.md ("pieces")
#pragma once

#include "image/manifest.h"
#include "sys/page_file.h"

#include <memory>
#include <string>

namespace godwit::image {

// One strand. Only while the image has no list. It checks nothing: a disk may have altered it, or who gave it lied.
class KeptList final {
 public:
  // `directory`: the image's own, which is there, of an image of so many pieces. Where the file can't be used nothing
  // is kept, and nothing found.
  KeptList(sys::PageFiles& files, const std::string& directory, std::uint64_t pieces);

  // The digests of the pieces from `first` on that were kept, without a gap, at most kListPartPieces.
  [[nodiscard]] ByteVector read(std::uint64_t first) const;
  void write(std::uint64_t first, ByteView digests);
  void drop();

 private:
  std::uint64_t pieces_;
  std::unique_ptr<sys::PageFile> file_;
};

}  // namespace godwit::image
