// Which implementation of AES-128-GCM this process's TLS uses (OpenSSL's own does less than half of what the processor
// can; docs/decisions/aead.md has the figures).
#pragma once

namespace godwit::crypto {

// The properties (property(7)) by which a context of TLS is to fetch its algorithms, for SSL_CTX_new_ex(3); null: there
// is nothing better than OpenSSL's own. They prefer libipsec-mb, as an OpenSSL provider (provider(7)), where build,
// library and processor have it and it seals and opens drawn messages of many lengths as OpenSSL does. Any thread. The
// first call loads and compares, which costs 2.5 ms of a core: so ask when there is TLS, not before.
[[nodiscard]] const char* fastest_tls_properties();

}  // namespace godwit::crypto
