// An image's list of digests that comes in parts: checked as far as it is there, kept until it is whole.
#pragma once

#include "image/list_part.h"
#include "image/manifest.h"

namespace godwit::image {

// One strand. Memory: 32 bytes a digest that has come.
class IncomingList {
 public:
  explicit IncomingList(const Manifest& manifest) : check_(manifest) {}

  // The digests of the pieces from `first` on; those that are here already are passed over. Errors: conflict (some
  // before them are missing), invalid_argument (no whole digests, too many), not_authentic (a file's are not those
  // of the manifest: the list is to be begun anew).
  [[nodiscard]] Result<> add(std::uint64_t first, ByteView part);
  [[nodiscard]] std::uint64_t count() const { return list_.size() / kDigest_bytes; }
  [[nodiscard]] bool complete() const { return check_.complete(); }
  // All of it, when it is complete.
  [[nodiscard]] ByteView bytes() const { return list_; }

 private:
  ListCheck check_;
  ByteVector list_;
};

}  // namespace godwit::image
