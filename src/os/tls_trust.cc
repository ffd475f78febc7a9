#include "os/tls_trust.h"

#include "base/id.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include <array>

namespace godwit::os {
namespace {

constexpr std::size_t kPemBytes = 16UL * 1024;
constexpr std::size_t kNameBytes = 253;

int no_password(char*, int, int, void*) { return 0; }

Result<X509Ptr> parse_authority(const sys::TrustedCa& authority) {
  if (!is_label(authority.cloud)) return fail(Errc::invalid_argument, "\"{}\" is no name of a cloud", authority.cloud);
  if (authority.pem.size() > kPemBytes) {
    return fail(Errc::invalid_argument, "CA of {}: larger than {} bytes", authority.cloud, kPemBytes);
  }
  const BioPtr reader(BIO_new_mem_buf(authority.pem.data(), static_cast<int>(authority.pem.size())));
  X509Ptr certificate(PEM_read_bio_X509(reader.get(), nullptr, no_password, nullptr));
  ERR_clear_error();
  if (!certificate || X509_check_ca(certificate.get()) != 1) {
    return fail(Errc::invalid_argument, "CA of {}: is no CA certificate in PEM", authority.cloud);
  }
  return certificate;
}

// The only subjectAltName, which must be a dNSName; else empty.
std::string name_of(X509* certificate) {
  using Names = std::unique_ptr<GENERAL_NAMES, Free<GENERAL_NAMES_free>>;
  const Names names(static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  if (!names || sk_GENERAL_NAME_num(names.get()) != 1) return {};
  const auto* only = sk_GENERAL_NAME_value(names.get(), 0);
  if (only->type != GEN_DNS) return {};
  const auto size = static_cast<std::size_t>(ASN1_STRING_length(only->d.dNSName));
  if (size > kNameBytes) return {};
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(only->d.dNSName)), size};
}

// One or more labels, then ".CLOUD.godwit".
bool belongs_to(std::string_view name, std::string_view cloud) {
  const auto suffix = fmt::format(".{}.godwit", cloud);
  if (!name.ends_with(suffix)) return false;
  name.remove_suffix(suffix.size());
  for (;;) {
    const auto dot = name.find('.');
    if (!is_label(name.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

std::string key_sha256(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  if (size <= 0) return {};
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  ::SHA256(der, static_cast<std::size_t>(size), digest.data());
  OPENSSL_free(der);
  return to_hex({reinterpret_cast<const std::byte*>(digest.data()), digest.size()});
}

// X509_V_OK, or why `certificate` does not hold under the only CA in `store`.
int check(X509_STORE* store, X509* certificate, PeerRole role) {
  const StoreContextPtr context(X509_STORE_CTX_new());
  if (!context || X509_STORE_CTX_init(context.get(), store, certificate, nullptr) != 1) return X509_V_ERR_OUT_OF_MEM;
  X509_STORE_CTX_set_default(context.get(), role == PeerRole::server ? "ssl_server" : "ssl_client");
  const int good = X509_verify_cert(context.get());
  const int error = X509_STORE_CTX_get_error(context.get());
  ERR_clear_error();
  return good == 1 ? X509_V_OK : (error == X509_V_OK ? X509_V_ERR_UNSPECIFIED : error);
}

}  // namespace

Result<TrustSet> TrustSet::parse(const std::vector<sys::TrustedCa>& authorities) {
  TrustSet set;
  for (const auto& each : authorities) {
    auto certificate = parse_authority(each);
    if (!certificate) return pass(certificate);
    StorePtr store(X509_STORE_new());
    if (!store || X509_STORE_add_cert(store.get(), certificate->get()) != 1) {
      return fail(Errc::internal, "CA of {}: OpenSSL did not take it", each.cloud);
    }
    set.authorities_.push_back(Authority{each.cloud, std::move(*certificate), std::move(store)});
  }
  return set;
}

Result<sys::PeerIdentity> TrustSet::verify(X509* certificate, PeerRole role, int& x509_error) const {
  const auto name = name_of(certificate);
  x509_error = X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
  std::string why = "no trusted CA signed it";
  for (const auto& authority : authorities_) {
    if (X509_NAME_cmp(X509_get_issuer_name(certificate), X509_get_subject_name(authority.certificate.get())) != 0) {
      continue;
    }
    const int error = check(authority.store.get(), certificate, role);
    if (error == X509_V_OK && belongs_to(name, authority.cloud)) {
      return sys::PeerIdentity{name, authority.cloud, key_sha256(certificate)};
    }
    x509_error = error == X509_V_OK ? X509_V_ERR_PERMITTED_VIOLATION : error;
    why = error == X509_V_OK
              ? fmt::format("the CA of {} may not name it so", authority.cloud)
              : fmt::format("under the CA of {}: {}", authority.cloud, X509_verify_cert_error_string(error));
  }
  return fail(Errc::not_authentic, "certificate of \"{}\": {}", name, why);
}

}  // namespace godwit::os
