#include "crypto/tls_ciphers.h"

#include "base/bytes.h"
#include "crypto/drawn.h"
#include "crypto/openssl.h"
#include "crypto/tls_ciphers_ipsec_mb.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <optional>

namespace godwit::crypto {
namespace {

constexpr const char* kProvider = "godwit-ipsec-mb";
constexpr const char* kPreferred = "?provider=godwit-ipsec-mb";  // "?": what it has not is another's
constexpr std::size_t kTag = 16;
constexpr std::size_t kMostText = 16'700;

using CipherPtr = std::unique_ptr<EVP_CIPHER, Free<EVP_CIPHER_free>>;
using ContextPtr = std::unique_ptr<EVP_CIPHER_CTX, Free<EVP_CIPHER_CTX_free>>;
using TagBytes = std::array<std::byte, kTag>;

const unsigned char* raw(ByteView bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }
unsigned char* raw(ByteSpan bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

// One direction of a connection, used as OpenSSL's TLS 1.3 does: the key once, then for each record a nonce, 5 bytes of
// head, the text in place, and the tag.
class Records {
 public:
  Records(const EVP_CIPHER* cipher, bool seals, ByteView key) : seals_(seals) {
    const int way = seals ? 1 : 0;
    ready_ = EVP_CipherInit_ex(context_.get(), cipher, nullptr, nullptr, nullptr, way) == 1 &&
             EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_IVLEN, 12, nullptr) == 1 &&
             EVP_CipherInit_ex(context_.get(), nullptr, nullptr, raw(key), nullptr, way) == 1;
  }

  // `cut`: bytes of the text that go in a call of their own. False: it failed, or the tag is not the text's.
  [[nodiscard]] bool pass(ByteView nonce, ByteView head, ByteSpan text, std::size_t cut, TagBytes& tag) {
    auto* context = context_.get();
    const int way = seals_ ? 1 : 0;
    int size = 0;
    if (!ready_ || EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, raw(nonce), way) != 1) return false;
    if (!seals_ && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTag, tag.data()) != 1) return false;
    if (!head.empty() && EVP_CipherUpdate(context, nullptr, &size, raw(head), length(head)) != 1) return false;
    for (const auto part : {text.first(cut), text.subspan(cut)}) {
      if (part.empty()) continue;
      if (EVP_CipherUpdate(context, raw(part), &size, raw(ByteView(part)), length(part)) != 1) return false;
      if (size != length(part)) return false;
    }
    std::array<std::byte, kTag> nothing;
    if (EVP_CipherFinal_ex(context, raw(ByteSpan(nothing)), &size) != 1 || size != 0) return false;
    return !seals_ || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTag, tag.data()) == 1;
  }

 private:
  static int length(ByteView bytes) { return static_cast<int>(bytes.size()); }

  ContextPtr context_{EVP_CIPHER_CTX_new()};
  bool seals_;
  bool ready_{false};
};

bool same_cipher(const EVP_CIPHER* trusted, const EVP_CIPHER* other) {
  const auto key = drawn(16, 1);
  const auto heads = drawn(17, 2);
  const auto texts = drawn(kMostText, 3);
  Records expected(trusted, true, key);
  Records seals(other, true, key);
  Records opens(other, false, key);
  const auto same_message = [&](std::size_t size) {
    const auto plain = ByteView(texts).first(size);
    const auto nonce = ByteView(texts).subspan(size, 12);
    const auto head = ByteView(heads).subspan(size % 12, size % 7 == 0 ? 0 : 5);
    const auto cut = size / 3;
    ByteVector a(plain.begin(), plain.end());
    ByteVector b = a;
    TagBytes a_tag{};
    TagBytes b_tag{};
    if (!expected.pass(nonce, head, a, 0, a_tag) || !seals.pass(nonce, head, b, cut, b_tag)) return false;
    if (a != b || a_tag != b_tag) return false;
    if (!opens.pass(nonce, head, b, cut, b_tag) || !std::ranges::equal(b, plain)) return false;
    a_tag[size % kTag] ^= std::byte{1};
    return !opens.pass(nonce, head, a, 0, a_tag);
  };
  for (std::size_t size = 0; size <= 288; ++size) {
    if (!same_message(size)) return false;
  }
  return std::ranges::all_of(std::to_array<std::size_t>({511, 1024, 1408, 4096, 4113, 16'385, 16'640}), same_message);
}

}  // namespace

TlsProviders load_if_same_as_openssl(OSSL_LIB_CTX* context, OSSL_provider_init_fn* provider) {
  TlsProviders out;
  // A provider that is loaded by name hides those that OpenSSL would have loaded by itself.
  if (OSSL_PROVIDER_add_builtin(context, kProvider, provider) != 1) return out;
  out.usual.reset(OSSL_PROVIDER_load(context, "default"));
  out.ours.reset(OSSL_PROVIDER_try_load(context, kProvider, 1));
  const CipherPtr trusted(EVP_CIPHER_fetch(context, "AES-128-GCM", "provider=default"));
  const CipherPtr other(out.ours ? EVP_CIPHER_fetch(context, "AES-128-GCM", "provider=godwit-ipsec-mb") : nullptr);
  if (!out.usual || !trusted || !other || !same_cipher(trusted.get(), other.get())) out.ours.reset();
  ERR_clear_error();
  return out;
}

const char* TlsProviders::properties() const { return ours ? kPreferred : nullptr; }

const char* fastest_tls_properties() {
  static const auto providers = load_if_same_as_openssl(nullptr, godwit_ipsec_mb_provider);  // until the process ends
  return providers.properties();
}

}  // namespace godwit::crypto
