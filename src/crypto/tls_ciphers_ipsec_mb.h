// An OpenSSL provider with one algorithm, AES-128-GCM by libipsec-mb. For crypto/tls_ciphers.cc.
#pragma once

#include <openssl/core.h>

namespace godwit::crypto {

// An OSSL_provider_init_fn (provider-base(7)): 0 where the build, the library or the processor lacks it.
extern "C" int godwit_ipsec_mb_provider(const OSSL_CORE_HANDLE* core, const OSSL_DISPATCH* offered,
                                        const OSSL_DISPATCH** provided, void** context);

}  // namespace godwit::crypto
