// Which block of an image a page equals: found by a fast hash, then compared with the block itself. 8 to 10 bytes of
// memory a block that holds anything.
#pragma once

#include "content/blocks.h"

#include <memory>
#include <optional>
#include <vector>

namespace godwit::content {

// One strand. Zeros are not in it: whoever sends them needs no image.
class ImageIndex final {
 public:
  // `blocks` outlives it. Empty at first: advance() reads on.
  explicit ImageIndex(const Blocks& blocks);
  ~ImageIndex();

  // Reads at most `blocks` more; false when all are read. Blocks that are `unsupported` are passed over. Errors: io,
  // after which it may be called again.
  [[nodiscard]] Result<bool> advance(std::uint64_t blocks);
  // A block that equals `page`, byte for byte. `near`: preferred where several do (the block after the last answer
  // makes runs).
  [[nodiscard]] std::optional<std::uint64_t> find(ByteView page, std::uint64_t fingerprint, std::uint64_t near) const;
  [[nodiscard]] std::uint64_t bytes() const;  // of memory

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::content
