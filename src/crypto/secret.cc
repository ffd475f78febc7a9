#include "crypto/secret.h"

#include "crypto/digest.h"

#include <openssl/crypto.h>

#include <algorithm>

namespace godwit::crypto {

void wipe(ByteSpan bytes) { OPENSSL_cleanse(bytes.data(), bytes.size()); }

Secret::Secret(std::span<const std::byte, kSize> bytes) { std::ranges::copy(bytes, bytes_.begin()); }

bool Secret::operator==(const Secret& other) const { return equal_secrets(bytes_, other.bytes_); }

}  // namespace godwit::crypto
