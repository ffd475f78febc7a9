// Owners of OpenSSL's objects and its error queue as text. For this module's sources only.
#pragma once

#include "crypto/identity.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <memory>

namespace godwit::crypto {

template <auto free>
struct Free {
  template <class T>
  void operator()(T* object) const {
    free(object);
  }
};

using PkeyPtr = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using X509Ptr = std::unique_ptr<X509, Free<X509_free>>;
using RequestPtr = std::unique_ptr<X509_REQ, Free<X509_REQ_free>>;
using BioPtr = std::unique_ptr<BIO, Free<BIO_free_all>>;
using DigestPtr = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>>;

// Errc::internal with OpenSSL's oldest queued reason; empties the queue.
[[nodiscard]] std::unexpected<Error> fail_openssl(Errc code, std::string_view operation);

// A read-only view of `pem`, which must outlive it.
[[nodiscard]] BioPtr reader_of(std::string_view pem);
[[nodiscard]] std::string content_of(BIO* written);

// Never asks a person for a password, as OpenSSL does by default.
int no_password(char* buffer, int size, int writing, void* context);

// Errors: invalid_argument (crypto/identity.cc).
[[nodiscard]] Result<X509Ptr> parse_certificate(std::string_view pem);
[[nodiscard]] bool is_p256(EVP_PKEY* key);

struct Key::Impl {
  PkeyPtr pair;
};

}  // namespace godwit::crypto
