// Blocks of an image: immutable content that both clouds hold.
#pragma once

#include "base/bytes.h"
#include "base/page.h"

namespace godwit::content {

class Blocks {
 public:
  virtual ~Blocks() = default;
  [[nodiscard]] virtual std::uint64_t count() const = 0;  // of kPage_bytes each
  // `into`: one block or more, which follow each other from `block` on. Errors: io, invalid_argument (there is no such
  // block), unsupported (one whose form this build can't read: it will never be, where io may pass).
  [[nodiscard]] virtual Result<> read(std::uint64_t block, ByteSpan into) const = 0;
  // A block of which read() would give zeros without reading.
  [[nodiscard]] virtual bool is_hole(std::uint64_t block) const = 0;
};

}  // namespace godwit::content
