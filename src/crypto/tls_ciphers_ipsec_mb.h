// An OpenSSL provider with one algorithm, AES-128-GCM by libipsec-mb, and how one is taken. For crypto/tls_ciphers.cc.
#pragma once

#include "crypto/openssl.h"
#include "crypto/tls_ciphers.h"

#include <openssl/core.h>
#include <openssl/provider.h>

namespace godwit::crypto {

// An OSSL_provider_init_fn (provider-base(7)): 0 where the build, the library or the processor lacks it.
extern "C" int godwit_ipsec_mb_provider(const OSSL_CORE_HANDLE* core, const OSSL_DISPATCH* offered,
                                        const OSSL_DISPATCH** provided, void** context);

struct TlsProviders {
  using Provider = std::unique_ptr<OSSL_PROVIDER, Free<OSSL_PROVIDER_unload>>;
  Provider usual;  // loaded for as long as this lives
  Provider ours;   // null: it was not taken

  [[nodiscard]] const char* properties() const;  // as fastest_tls_properties()
};
// Loads a provider into `context` (null: the process's own), to stay if its AES-128-GCM is OpenSSL's.
[[nodiscard]] TlsProviders load_if_same_as_openssl(OSSL_LIB_CTX* context, OSSL_provider_init_fn* provider);

}  // namespace godwit::crypto
