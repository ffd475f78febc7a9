#include "crypto/ticket.h"

#include "base/assert.h"
#include "crypto/digest.h"
#include "crypto/openssl.h"

#include <algorithm>

namespace godwit::crypto {
namespace {

constexpr std::string_view kPrefix = "gwt1.";
constexpr std::size_t kIdBytes = 8;
constexpr std::size_t kSignatureBytes = 64;

using KeyId = std::array<std::byte, kIdBytes>;

KeyId id_of(ByteView public_key) {
  const auto digest = sha256(public_key);
  KeyId id;
  std::copy_n(digest.begin(), id.size(), id.begin());
  return id;
}

ByteVector signed_bytes(const KeyId& id, ByteView payload) {
  ByteVector bytes;
  bytes.reserve(kPrefix.size() + id.size() + payload.size());
  append(bytes, as_bytes(kPrefix));
  append(bytes, id);
  append(bytes, payload);
  return bytes;
}

const unsigned char* raw(ByteView bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

// Only the one text that signing gave is a ticket: base64 with stray low bits in its last digit is another text.
Result<ByteVector> decode(std::string_view text) {
  auto bytes = from_base64url(text);
  if (!bytes || to_base64url(*bytes) != text) return fail(Errc::invalid_argument, "ticket: a part is no base64url");
  return bytes;
}

struct Parts {
  ByteVector payload;
  ByteVector proof;  // key id and signature
};

Result<Parts> split(std::string_view ticket) {
  if (ticket.size() > kTicketBytes) return fail(Errc::invalid_argument, "ticket: longer than {} bytes", kTicketBytes);
  if (!ticket.starts_with(kPrefix)) return fail(Errc::invalid_argument, "ticket: does not start with {}", kPrefix);
  ticket.remove_prefix(kPrefix.size());
  const auto dot = ticket.find('.');
  if (dot == std::string_view::npos) return fail(Errc::invalid_argument, "ticket: has no signature");
  auto payload = decode(ticket.substr(0, dot));
  if (!payload) return pass(payload);
  auto proof = decode(ticket.substr(dot + 1));
  if (!proof) return pass(proof);
  if (proof->size() != kIdBytes + kSignatureBytes) {
    return fail(Errc::invalid_argument, "ticket: the signature has a wrong size");
  }
  return Parts{std::move(*payload), std::move(*proof)};
}

Result<std::array<std::byte, 32>> key_from_hex(std::string_view text) {
  std::array<std::byte, 32> key{};
  const auto bytes = from_hex(text);
  if (!bytes || bytes->size() != key.size()) return fail(Errc::invalid_argument, "ticket key: must be 64 hex digits");
  std::copy(bytes->begin(), bytes->end(), key.begin());
  return key;
}

}  // namespace

Result<TicketVerifier> TicketVerifier::from_hex(std::string_view text) {
  const auto key = key_from_hex(text);
  if (!key) return pass(key);
  TicketVerifier verifier;
  verifier.key_ = *key;
  return verifier;
}

std::string TicketVerifier::to_hex() const { return godwit::to_hex(key_); }

Result<std::string> TicketVerifier::open(std::string_view ticket) const {
  const auto parts = split(ticket);
  if (!parts) return pass(parts);
  const auto id = id_of(key_);
  const auto proof = ByteView(parts->proof);
  if (!std::equal(id.begin(), id.end(), proof.begin())) {
    return fail(Errc::not_authentic, "ticket: signed by another key ({})", godwit::to_hex(proof.first(kIdBytes)));
  }
  const PkeyPtr key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw(key_), key_.size()));
  const DigestPtr context(EVP_MD_CTX_new());
  const auto bytes = signed_bytes(id, parts->payload);
  const bool good =
      key && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
      EVP_DigestVerify(context.get(), raw(proof.subspan(kIdBytes)), kSignatureBytes, raw(bytes), bytes.size()) == 1;
  if (!good) return fail_openssl(Errc::not_authentic, "ticket: the signature does not hold");
  return std::string(as_text(parts->payload));
}

TicketSigner::TicketSigner(std::array<std::byte, 32> key) : key_(key) {
  const PkeyPtr pair(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw(key_), key_.size()));
  std::size_t size = verifier_.key_.size();
  auto* out = reinterpret_cast<unsigned char*>(verifier_.key_.data());
  GODWIT_ASSERT(pair && EVP_PKEY_get_raw_public_key(pair.get(), out, &size) == 1);
}

TicketSigner TicketSigner::generate(sys::Random& random) {
  std::array<std::byte, 32> key{};
  random.fill(key);
  return TicketSigner(key);
}

Result<TicketSigner> TicketSigner::from_secret(std::string_view hex) {
  const auto key = key_from_hex(hex);
  if (!key) return pass(key);
  return TicketSigner(*key);
}

std::string TicketSigner::secret() const { return to_hex(key_); }

Result<std::string> TicketSigner::sign(std::string_view payload) const {
  const auto id = id_of(verifier_.key_);
  const auto bytes = signed_bytes(id, as_bytes(payload));
  const PkeyPtr key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw(key_), key_.size()));
  const DigestPtr context(EVP_MD_CTX_new());
  ByteVector proof(id.begin(), id.end());
  proof.resize(kIdBytes + kSignatureBytes);
  auto* out = reinterpret_cast<unsigned char*>(proof.data() + kIdBytes);
  std::size_t size = kSignatureBytes;
  GODWIT_ASSERT(key && EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1);
  GODWIT_ASSERT(EVP_DigestSign(context.get(), out, &size, raw(bytes), bytes.size()) == 1);
  auto text = fmt::format("{}{}.{}", kPrefix, to_base64url(as_bytes(payload)), to_base64url(proof));
  if (text.size() > kTicketBytes) return fail(Errc::exhausted, "ticket: longer than {} bytes", kTicketBytes);
  return text;
}

}  // namespace godwit::crypto
