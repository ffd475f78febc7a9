// The implementations behind aead.h. For this module's sources only.
#pragma once

#include "crypto/aead.h"

namespace godwit::crypto {

[[nodiscard]] std::unique_ptr<AeadKey> openssl_key(Cipher cipher, ByteView key);

// libipsec-mb's dispatch table for this processor, and the AES-256-GCM keys that it sets up.
class IpsecMb {
 public:
  virtual ~IpsecMb() = default;
  [[nodiscard]] virtual std::unique_ptr<AeadKey> gcm_key(ByteView key) const = 0;
};
// None where the build lacks the library or the processor AES instructions.
[[nodiscard]] std::unique_ptr<IpsecMb> load_ipsec_mb();

// It, if it seals and opens drawn messages of many lengths as OpenSSL does; else, and of none, none.
[[nodiscard]] std::unique_ptr<IpsecMb> if_same_as_openssl(std::unique_ptr<IpsecMb> ipsec_mb);

}  // namespace godwit::crypto
