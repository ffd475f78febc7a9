#include "crypto/identity.h"

#include "base/assert.h"
#include "base/id.h"
#include "crypto/digest.h"
#include "crypto/openssl.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <array>
#include <ctime>

namespace godwit::crypto {

namespace {

std::string spki_sha256(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  GODWIT_ASSERT(size > 0);
  auto digest = sha256_hex({reinterpret_cast<const std::byte*>(der), static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  return digest;
}

Result<> check_size(std::string_view pem, std::string_view what) {
  if (pem.size() > kPemBytes) return fail(Errc::invalid_argument, "{}: larger than {} bytes", what, kPemBytes);
  return {};
}

Result<RequestPtr> parse_request(std::string_view pem) {
  const auto sized = check_size(pem, "certificate request");
  if (!sized) return pass(sized);
  const auto reader = reader_of(pem);
  RequestPtr request(PEM_read_bio_X509_REQ(reader.get(), nullptr, no_password, nullptr));
  if (!request) return fail_openssl(Errc::invalid_argument, "read certificate request");
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  if (!key || !is_p256(key)) {
    ERR_clear_error();
    return fail(Errc::invalid_argument, "certificate request: its key must be ECDSA on P-256");
  }
  if (X509_REQ_verify(request.get(), key) != 1) {
    return fail_openssl(Errc::not_authentic, "certificate request: not signed by its own key");
  }
  return request;
}

std::string common_name(X509_NAME* name) {
  std::array<char, 256> text{};
  const int size = X509_NAME_get_text_by_NID(name, NID_commonName, text.data(), text.size());
  return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : std::string();
}

bool set_common_name(X509_NAME* subject, std::string_view name) {
  // RFC 5280 bounds a common name to 64 characters; the subjectAltName is what counts.
  const auto text = name.substr(0, 64);
  return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(text.data()),
                                    static_cast<int>(text.size()), -1, 0) == 1;
}

std::string alternative_name(X509* certificate) {
  using Names = std::unique_ptr<GENERAL_NAMES, Free<GENERAL_NAMES_free>>;
  const Names names(static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  if (!names || sk_GENERAL_NAME_num(names.get()) != 1) return {};
  const auto* only = sk_GENERAL_NAME_value(names.get(), 0);
  if (only->type != GEN_DNS) return {};
  const auto* text = ASN1_STRING_get0_data(only->d.dNSName);
  return {reinterpret_cast<const char*>(text), static_cast<std::size_t>(ASN1_STRING_length(only->d.dNSName))};
}

WallTime wall_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return WallTime{};
  return WallTime(Seconds(::timegm(&parts)));
}

bool set_time(ASN1_TIME* time, WallTime value) {
  return ASN1_TIME_set(time, std::chrono::duration_cast<Seconds>(value.time_since_epoch()).count()) != nullptr;
}

bool set_serial(X509* certificate, sys::Random& random) {
  std::array<std::byte, 16> bytes{};
  random.fill(bytes);
  bytes[0] = (bytes[0] & std::byte{0x7f}) | std::byte{0x40};  // positive, of full length
  const std::unique_ptr<BIGNUM, Free<BN_free>> number(
      BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), nullptr));
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

struct Extension {
  int nid;
  std::string value;
};

// `value` is never from outside, except a name that is_host_name() passed.
bool add_extensions(X509* certificate, X509* issuer, const std::vector<Extension>& extensions) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  for (const auto& each : extensions) {
    const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, each.nid, each.value.c_str()));
    if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1) return false;
  }
  return true;
}

Result<X509Ptr> new_certificate(EVP_PKEY* key, std::string_view name, Validity validity, sys::Random& random) {
  if (validity.until <= validity.from)
    return fail(Errc::invalid_argument, "certificate {}: ends before it starts", name);
  X509Ptr certificate(X509_new());
  const bool good =
      certificate && X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
      set_serial(certificate.get(), random) && set_time(X509_getm_notBefore(certificate.get()), validity.from) &&
      set_time(X509_getm_notAfter(certificate.get()), validity.until) &&
      set_common_name(X509_get_subject_name(certificate.get()), name) && X509_set_pubkey(certificate.get(), key) == 1;
  if (!good) return fail_openssl(Errc::internal, fmt::format("make certificate {}", name));
  return certificate;
}

std::string to_pem(X509* certificate) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  GODWIT_ASSERT(PEM_write_bio_X509(out.get(), certificate) == 1);
  return content_of(out.get());
}

}  // namespace

bool is_p256(EVP_PKEY* key) {
  std::array<char, 32> group{};
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
         EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) == 1 &&
         std::string_view(group.data()) == "prime256v1";
}

Result<X509Ptr> parse_certificate(std::string_view pem) {
  const auto sized = check_size(pem, "certificate");
  if (!sized) return pass(sized);
  const auto reader = reader_of(pem);
  X509Ptr certificate(PEM_read_bio_X509(reader.get(), nullptr, no_password, nullptr));
  if (!certificate) return fail_openssl(Errc::invalid_argument, "read certificate");
  return certificate;
}

Key::Key(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Key::~Key() = default;
Key::Key(Key&&) noexcept = default;
Key& Key::operator=(Key&&) noexcept = default;

Result<Key> Key::generate() {
  PkeyPtr pair(EVP_EC_gen("P-256"));
  if (!pair) return fail_openssl(Errc::internal, "generate a key");
  return Key(std::make_unique<Impl>(Impl{std::move(pair)}));
}

Result<Key> Key::from_pem(std::string_view pem) {
  const auto sized = check_size(pem, "private key");
  if (!sized) return pass(sized);
  const auto reader = reader_of(pem);
  PkeyPtr pair(PEM_read_bio_PrivateKey(reader.get(), nullptr, no_password, nullptr));
  if (!pair) return fail_openssl(Errc::invalid_argument, "read private key");
  if (!is_p256(pair.get())) return fail(Errc::invalid_argument, "private key: must be ECDSA on P-256");
  return Key(std::make_unique<Impl>(Impl{std::move(pair)}));
}

std::string Key::to_pem() const {
  const BioPtr out(BIO_new(BIO_s_mem()));
  GODWIT_ASSERT(PEM_write_bio_PKCS8PrivateKey(out.get(), impl_->pair.get(), nullptr, nullptr, 0, nullptr, nullptr) ==
                1);
  return content_of(out.get());
}

std::string Key::sha256() const { return spki_sha256(impl_->pair.get()); }

bool is_host_name(std::string_view name) {
  if (name.size() > 253 || name.find('.') == std::string_view::npos) return false;
  for (;;) {
    const auto dot = name.find('.');
    if (!is_label(name.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

Result<std::string> make_authority(const Key& key, std::string_view cloud, Validity validity, sys::Random& random) {
  if (!is_label(cloud)) return fail(Errc::invalid_argument, "make CA: \"{}\" is no name of a cloud", cloud);
  auto* pair = key.impl().pair.get();
  auto certificate = new_certificate(pair, fmt::format("{}.godwit", cloud), validity, random);
  if (!certificate) return pass(certificate);
  auto* made = certificate->get();
  const bool good = X509_set_issuer_name(made, X509_get_subject_name(made)) == 1 &&
                    add_extensions(made, made,
                                   {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                                    {NID_key_usage, "critical,keyCertSign,cRLSign"},
                                    {NID_subject_key_identifier, "hash"}}) &&
                    X509_sign(made, pair, EVP_sha256()) > 0;
  if (!good) return fail_openssl(Errc::internal, fmt::format("make CA of {}", cloud));
  return to_pem(made);
}

Result<std::string> make_request(const Key& key, std::string_view name) {
  if (!is_host_name(name)) return fail(Errc::invalid_argument, "certificate request: \"{}\" is no host name", name);
  auto* pair = key.impl().pair.get();
  const RequestPtr request(X509_REQ_new());
  const BioPtr out(BIO_new(BIO_s_mem()));
  const bool good = request && X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 1 &&
                    set_common_name(X509_REQ_get_subject_name(request.get()), name) &&
                    X509_REQ_set_pubkey(request.get(), pair) == 1 &&
                    X509_REQ_sign(request.get(), pair, EVP_sha256()) > 0 &&
                    PEM_write_bio_X509_REQ(out.get(), request.get()) == 1;
  if (!good) return fail_openssl(Errc::internal, fmt::format("make a certificate request for {}", name));
  return content_of(out.get());
}

Result<RequestInfo> inspect_request(std::string_view request_pem) {
  const auto request = parse_request(request_pem);
  if (!request) return pass(request);
  return RequestInfo{common_name(X509_REQ_get_subject_name(request->get())),
                     spki_sha256(X509_REQ_get0_pubkey(request->get()))};
}

Result<std::string> sign_request(const Key& authority_key, std::string_view authority_pem, std::string_view request_pem,
                                 std::string_view name, Validity validity, sys::Random& random) {
  if (!is_host_name(name)) return fail(Errc::invalid_argument, "sign certificate: \"{}\" is no host name", name);
  const auto request = parse_request(request_pem);
  if (!request) return pass(request);
  const auto authority = parse_certificate(authority_pem);
  if (!authority) return pass(authority);
  auto* issuer = authority->get();
  auto* issuer_key = authority_key.impl().pair.get();
  if (X509_check_private_key(issuer, issuer_key) != 1) {
    return fail_openssl(Errc::invalid_argument, "sign certificate: the CA's key is not that of its certificate");
  }
  auto certificate = new_certificate(X509_REQ_get0_pubkey(request->get()), name, validity, random);
  if (!certificate) return pass(certificate);
  auto* made = certificate->get();
  const bool good = X509_set_issuer_name(made, X509_get_subject_name(issuer)) == 1 &&
                    add_extensions(made, issuer,
                                   {{NID_basic_constraints, "critical,CA:FALSE"},
                                    {NID_key_usage, "critical,digitalSignature"},
                                    {NID_ext_key_usage, "serverAuth,clientAuth"},
                                    {NID_subject_key_identifier, "hash"},
                                    {NID_authority_key_identifier, "keyid:always"},
                                    {NID_subject_alt_name, fmt::format("DNS:{}", name)}}) &&
                    X509_sign(made, issuer_key, EVP_sha256()) > 0;
  if (!good) return fail_openssl(Errc::internal, fmt::format("sign certificate for {}", name));
  return to_pem(made);
}

Result<CertificateInfo> inspect_certificate(std::string_view pem) {
  const auto certificate = parse_certificate(pem);
  if (!certificate) return pass(certificate);
  auto* parsed = certificate->get();
  EVP_PKEY* key = X509_get0_pubkey(parsed);
  if (!key) return fail_openssl(Errc::invalid_argument, "read the certificate's key");
  CertificateInfo info;
  info.authority = X509_check_ca(parsed) == 1;
  info.name = info.authority ? common_name(X509_get_subject_name(parsed)) : alternative_name(parsed);
  info.key_sha256 = spki_sha256(key);
  info.validity = {wall_time(X509_get0_notBefore(parsed)), wall_time(X509_get0_notAfter(parsed))};
  return info;
}

}  // namespace godwit::crypto
