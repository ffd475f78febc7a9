// Keys, certificates and the CA of a cloud: ECDSA on P-256, X.509 v3 (RFC 5280), PKCS#10 requests (RFC 2986), all as
// PEM. Why P-256 and not Ed25519: docs/decisions/tls-keys.md.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "sys/clock.h"

#include <memory>
#include <string>
#include <string_view>

namespace godwit::crypto {

inline constexpr std::size_t kPemBytes = 16UL * 1024;  // no key, request or certificate of ours is larger

// A private key. Moves, never copies.
class Key {
 public:
  [[nodiscard]] static Result<Key> generate();
  // PKCS#8, not encrypted. Errors: invalid_argument (no key, or none on P-256).
  [[nodiscard]] static Result<Key> from_pem(std::string_view pem);
  ~Key();
  Key(Key&&) noexcept;
  Key& operator=(Key&&) noexcept;

  [[nodiscard]] std::string to_pem() const;  // for a file of mode 0600
  [[nodiscard]] std::string sha256() const;  // of its SubjectPublicKeyInfo, in lower-case hex

  struct Impl;
  [[nodiscard]] const Impl& impl() const { return *impl_; }  // for this module

 private:
  explicit Key(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct Validity {
  WallTime from;
  WallTime until;
};

struct CertificateInfo {
  std::string name;  // the subjectAltName; of a CA, its common name
  std::string key_sha256;
  Validity validity;
  bool authority{false};
};

struct RequestInfo {
  std::string name;  // what it asks for; the signer decides what it gets
  std::string key_sha256;
};

// True for two or more DNS labels (base/id.h), 253 characters at most: what a certificate may be made out to.
[[nodiscard]] bool is_host_name(std::string_view name);

// A CA that signs itself, named "CLOUD.godwit". Errors: invalid_argument.
[[nodiscard]] Result<std::string> make_authority(const Key& key, std::string_view cloud, Validity validity,
                                                 sys::Random& random);

[[nodiscard]] Result<std::string> make_request(const Key& key, std::string_view name);
// Checks that who made the request has its private key. Errors: invalid_argument, not_authentic.
[[nodiscard]] Result<RequestInfo> inspect_request(std::string_view request_pem);

// A certificate for the key in `request_pem`, made out to `name`, for TLS servers and clients.
// Errors: those of inspect_request(); invalid_argument (name, validity, or `authority_key` is not that of
// `authority_pem`).
[[nodiscard]] Result<std::string> sign_request(const Key& authority_key, std::string_view authority_pem,
                                               std::string_view request_pem, std::string_view name, Validity validity,
                                               sys::Random& random);

// Of the first certificate in `pem`; checks no signature. Errors: invalid_argument.
[[nodiscard]] Result<CertificateInfo> inspect_certificate(std::string_view pem);

}  // namespace godwit::crypto
