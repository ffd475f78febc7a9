// The implementations behind block_digests.h. For this module's sources only.
#pragma once

#include "crypto/block_digests.h"

namespace godwit::crypto {

class BlockDigests::Hasher {
 public:
  virtual ~Hasher() = default;
  [[nodiscard]] virtual Engine engine() const = 0;
  virtual void digest(ByteView blocks, ByteSpan into) = 0;
};

// None where the build lacks the library or the processor what it needs.
[[nodiscard]] std::unique_ptr<BlockDigests::Hasher> load_ipsec_mb_hasher();

// It, if it digests drawn blocks, in batches of many sizes, as OpenSSL does; else, and of none, OpenSSL's.
[[nodiscard]] std::unique_ptr<BlockDigests::Hasher> if_same_as_openssl(std::unique_ptr<BlockDigests::Hasher> hasher);

}  // namespace godwit::crypto
