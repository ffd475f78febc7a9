// Which implementation of AES-128-GCM this process's TLS uses (OpenSSL's own does less than half of what the processor
// can; docs/decisions/aead.md has the figures).
#pragma once

#include <cstdint>

namespace godwit::crypto {

enum class TlsCiphers : std::uint8_t { openssl, ipsec_mb };

// Prefers libipsec-mb, as an OpenSSL provider (provider(7)), where build, library and processor have it and it seals
// and opens drawn messages of many lengths as OpenSSL does. For the whole process: once, at the start of main(), before
// any other thread and any TLS. What could not be done leaves OpenSSL's own.
[[nodiscard]] TlsCiphers use_fastest_tls_ciphers();

}  // namespace godwit::crypto
