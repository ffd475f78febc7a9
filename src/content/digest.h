// The identity of a page inside one dedup domain: the first 128 bits of HMAC-SHA-256 under the domain's key. Who lacks
// the key can neither name a page nor tell from a digest what is in it; knowing a digest is no right to the content.
#pragma once

#include "crypto/mac.h"

#include <array>

namespace godwit::content {

using PageDigest = std::array<std::byte, 16>;

class PageKey final {
 public:
  explicit PageKey(ByteView key) : key_(key) {}  // any size but 0: 32 bytes of chance

  // At the speed of SHA-256. One strand.
  [[nodiscard]] PageDigest digest(ByteView page) const { return key_.compute(page); }

 private:
  crypto::MacKey key_;
};

}  // namespace godwit::content
