// SHA-256 of many blocks of 4 KiB at once: images are checked block by block, at the speed of networks and disks.
//
// Intel's libipsec-mb, which hashes several blocks side by side, where library and processor have it, else OpenSSL.
#pragma once

#include "base/page.h"
#include "crypto/digest.h"

#include <memory>

namespace godwit::crypto {

inline constexpr std::size_t kBlockDigest = std::tuple_size_v<Sha256Digest>;

// One strand.
class BlockDigests {
 public:
  enum class Engine : std::uint8_t { openssl, ipsec_mb };

  // The fastest that this machine has. libipsec-mb is taken only if it digests drawn blocks, in batches of many sizes,
  // as OpenSSL does; this takes about a millisecond.
  [[nodiscard]] static BlockDigests fastest();
  [[nodiscard]] static BlockDigests openssl();
  ~BlockDigests();
  BlockDigests(BlockDigests&&) noexcept;
  BlockDigests& operator=(BlockDigests&&) noexcept;

  [[nodiscard]] Engine engine() const;
  // `blocks`: n of 4 KiB, one behind the other; `into`: n digests. Allocates nothing.
  void digest(ByteView blocks, ByteSpan into);

  class Hasher;  // for this module's sources

 private:
  explicit BlockDigests(std::unique_ptr<Hasher> hasher);
  std::unique_ptr<Hasher> hasher_;
};

}  // namespace godwit::crypto
