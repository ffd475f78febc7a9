#include "crypto/statement.h"

#include "base/assert.h"
#include "crypto/openssl.h"

#include <openssl/bn.h>
#include <openssl/ec.h>

#include <algorithm>

namespace godwit::crypto {
namespace {

// With its zero: no certificate begins so, nor anything else that a CA's key signs.
constexpr std::string_view kDomain{"godwit statement\0", 17};
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kFieldsAt = 18;
constexpr std::size_t kNumber = kStatementSignature / 2;  // r and s, each as long as the order of P-256

// FIPS 186-4, D.1.2.3: the order of P-256, and its half. Of the two s that fit a signature the lower one is taken, so
// that nobody can make a second spelling of a statement.
constexpr std::string_view kOrder = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
constexpr std::string_view kHalfOrder = "7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8";

using Number = std::unique_ptr<BIGNUM, Free<BN_free>>;
using Signature = std::unique_ptr<ECDSA_SIG, Free<ECDSA_SIG_free>>;

const unsigned char* raw(ByteView bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

Number number_of(ByteView bytes) { return Number(BN_bin2bn(raw(bytes), static_cast<int>(bytes.size()), nullptr)); }

Number number_of(std::string_view hex) { return number_of(ByteView(from_hex(hex).value())); }

ByteVector signed_bytes(ByteView statement) {
  ByteVector out;
  out.reserve(kDomain.size() + statement.size());
  append(out, as_bytes(kDomain));
  append(out, statement);
  return out;
}

std::int64_t seconds_of(WallTime time) { return std::chrono::duration_cast<Seconds>(time.time_since_epoch()).count(); }

// As X9.62 has it (DER), from r and s. Empty when they are out of range.
ByteVector to_der(ByteView r_and_s) {
  static const auto half = from_hex(kHalfOrder).value();
  const auto high = r_and_s.subspan(kNumber);
  if (std::ranges::lexicographical_compare(half, high)) return {};
  const Signature signature(ECDSA_SIG_new());
  Number r = number_of(r_and_s.first(kNumber));
  Number s = number_of(high);
  GODWIT_ASSERT(signature && r && s && ECDSA_SIG_set0(signature.get(), r.release(), s.release()) == 1);
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  GODWIT_ASSERT(size > 0);
  const auto* bytes = reinterpret_cast<const std::byte*>(der);
  ByteVector out(bytes, bytes + size);
  OPENSSL_free(der);
  return out;
}

ByteVector from_der(ByteView der) {
  const auto* at = raw(der);
  const Signature signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  GODWIT_ASSERT(signature);
  static const Number order = number_of(kOrder);
  static const Number half = number_of(kHalfOrder);
  const BIGNUM* r = ECDSA_SIG_get0_r(signature.get());
  const Number s(BN_dup(ECDSA_SIG_get0_s(signature.get())));
  if (BN_cmp(s.get(), half.get()) > 0) GODWIT_ASSERT(BN_sub(s.get(), order.get(), s.get()) == 1);
  ByteVector out(kStatementSignature);
  auto* into = reinterpret_cast<unsigned char*>(out.data());
  constexpr int kSize = static_cast<int>(kNumber);
  GODWIT_ASSERT(BN_bn2binpad(r, into, kSize) == kSize && BN_bn2binpad(s.get(), into + kNumber, kSize) == kSize);
  return out;
}

}  // namespace

struct Authority::Impl {
  PkeyPtr key;
  Validity validity;
};

Authority::Authority(std::string cloud, std::shared_ptr<const Impl> impl)
    : cloud_(std::move(cloud)), impl_(std::move(impl)) {}

Result<Authority> Authority::from_pem(std::string_view cloud, std::string_view pem) {
  const auto certificate = parse_certificate(pem);
  if (!certificate) return fail(certificate, fmt::format("CA of {}", cloud));
  const auto info = inspect_certificate(pem);
  if (!info) return fail(info, fmt::format("CA of {}", cloud));
  if (!info->authority || info->name != fmt::format("{}.godwit", cloud)) {
    return fail(Errc::invalid_argument, "CA of {}: the certificate is of {}", cloud, info->name);
  }
  PkeyPtr key(X509_get_pubkey(certificate->get()));
  if (!key || !is_p256(key.get())) {
    return fail_openssl(Errc::invalid_argument, fmt::format("CA of {}: its key must be ECDSA on P-256", cloud));
  }
  return Authority(std::string(cloud), std::make_shared<const Impl>(Impl{std::move(key), info->validity}));
}

Result<> Authority::check(ByteView statement, Validity valid, WallTime now) const {
  if (statement.size() <= kStatementSignature) return fail(Errc::invalid_argument, "statement: too short");
  const auto said = signed_bytes(statement.first(statement.size() - kStatementSignature));
  const auto der = to_der(statement.last(kStatementSignature));
  const DigestPtr context(EVP_MD_CTX_new());
  const bool good = !der.empty() &&
                    EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, impl_->key.get()) == 1 &&
                    EVP_DigestVerify(context.get(), raw(der), der.size(), raw(said), said.size()) == 1;
  if (!good) return fail_openssl(Errc::not_authentic, fmt::format("statement: not signed by the CA of {}", cloud_));
  for (const auto& each : {valid, impl_->validity}) {
    if (now < each.from) return fail(Errc::timed_out, "statement of {}: not valid yet (are the clocks right?)", cloud_);
    if (now >= each.until) return fail(Errc::timed_out, "statement of {}: it has expired", cloud_);
  }
  return {};
}

ByteVector begin_statement(StatementKind kind, Validity valid) {
  ByteVector out;
  out.reserve(kStatementBytes);
  out.push_back(std::byte{kVersion});
  out.push_back(static_cast<std::byte>(kind));
  append_be64(out, static_cast<std::uint64_t>(seconds_of(valid.from)));
  append_be64(out, static_cast<std::uint64_t>(seconds_of(valid.until)));
  return out;
}

void append_short_text(ByteVector& out, std::string_view text) {
  GODWIT_ASSERT(text.size() <= 255);
  out.push_back(static_cast<std::byte>(text.size()));
  append(out, as_bytes(text));
}

Result<ByteView> statement_fields(ByteView statement, StatementKind kind, Validity& valid) {
  const auto bad = [](std::string_view what) { return fail(Errc::invalid_argument, "statement: {}", what); };
  if (statement.size() > kStatementBytes) return bad("too long");
  if (statement.size() < kFieldsAt + kStatementSignature) return bad("too short");
  if (statement[0] != std::byte{kVersion}) return bad("of another version");
  if (statement[1] != static_cast<std::byte>(kind)) return bad("of another kind");
  constexpr std::uint64_t kLastSecond = 253'402'300'799;  // of the year 9999
  const auto from = load_be64(statement.subspan(2));
  const auto until = load_be64(statement.subspan(10));
  if (from >= until || until > kLastSecond) return bad("ends before it starts, or never");
  valid = {WallTime(Seconds(from)), WallTime(Seconds(until))};
  return statement.subspan(kFieldsAt, statement.size() - kFieldsAt - kStatementSignature);
}

Result<ByteVector> sign_statement(ByteVector unsigned_bytes, const Key& authority) {
  if (unsigned_bytes.size() + kStatementSignature > kStatementBytes) {
    return fail(Errc::exhausted, "statement: longer than {} bytes", kStatementBytes);
  }
  const auto said = signed_bytes(unsigned_bytes);
  const DigestPtr context(EVP_MD_CTX_new());
  ByteVector der(128);
  std::size_t size = der.size();
  auto* into = reinterpret_cast<unsigned char*>(der.data());
  const bool good =
      EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, authority.impl().pair.get()) == 1 &&
      EVP_DigestSign(context.get(), into, &size, raw(said), said.size()) == 1;
  if (!good) return fail_openssl(Errc::internal, "sign a statement");
  append(unsigned_bytes, from_der(ByteView(der).first(size)));
  return unsigned_bytes;
}

Result<ByteVector> statement_from_text(std::string_view text) {
  if (text.size() > kStatementBytes * 4 / 3 + 4) return fail(Errc::invalid_argument, "statement: too long");
  auto bytes = from_base64url(text);
  if (!bytes || to_base64url(*bytes) != text) return fail(Errc::invalid_argument, "statement: no base64url");
  return bytes;
}

}  // namespace godwit::crypto
