#include "image/kept_list.h"

#include "base/assert.h"
#include "base/zero.h"
#include "image/list_part.h"

#include <algorithm>

namespace godwit::image {

KeptList::KeptList(sys::PageFiles& files, const std::string& directory, std::uint64_t pieces) : pieces_(pieces) {
  auto file = files.reopen(directory + "/pieces");
  if (file && (*file)->size() == pieces * kDigest_bytes) file_ = std::move(*file);
}

// What has not come are zeros, which no digest is.
ByteVector KeptList::read(std::uint64_t first) const {
  GODWIT_ASSERT(first <= pieces_);
  ByteVector digests(std::min(kListPartPieces, pieces_ - first) * kDigest_bytes);
  if (!file_ || !file_->read_at(first * kDigest_bytes, digests)) return {};
  std::size_t end = 0;
  while (end < digests.size() && !is_zero(ByteView(digests).subspan(end, kDigest_bytes))) end += kDigest_bytes;
  digests.resize(end);
  return digests;
}

// What could not be written comes again the next time.
void KeptList::write(std::uint64_t first, ByteView digests) {
  GODWIT_ASSERT(first <= pieces_ && digests.size() <= (pieces_ - first) * kDigest_bytes);
  if (file_) static_cast<void>(file_->write_at(first * kDigest_bytes, digests));
}

void KeptList::drop() {
  if (file_ && !file_->punch(0, pieces_ * kDigest_bytes)) file_.reset();
}

}  // namespace godwit::image
