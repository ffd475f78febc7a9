#include "crypto/tls_ciphers_ipsec_mb.h"

#ifdef GODWIT_IPSEC_MB
#include <intel-ipsec-mb.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

// The functions are OpenSSL's to name and to type (provider-cipher(7)): they take what EVP_Cipher*() was given.
namespace godwit::crypto {
namespace {

constexpr std::size_t kKey = 16;
constexpr std::size_t kNonce = 12;
constexpr std::size_t kTag = 16;
constexpr std::size_t kMostAssociated = 64;  // TLS 1.3 has 5

// One key and the message that it is at.
struct Gcm {
  const IMB_MGR* manager{nullptr};
  alignas(64) gcm_key_data key{};  // the header asks for it only where LINUX is defined
  gcm_context_data message{};
  std::array<std::uint8_t, kNonce> nonce{};
  std::array<std::uint8_t, kTag> tag{};
  std::array<std::uint8_t, kMostAssociated> associated{};
  std::size_t associated_bytes{0};
  bool seals{true};
  bool has_key{false};
  bool has_nonce{false};
  bool has_tag{false};
  bool begun{false};
};

void* new_context(void* provider) {
  auto* made = new (std::nothrow) Gcm;
  if (made) made->manager = static_cast<const IMB_MGR*>(provider);
  return made;
}

void free_context(void* context) {
  auto* gcm = static_cast<Gcm*>(context);
  if (!gcm) return;
  OPENSSL_cleanse(&gcm->key, sizeof gcm->key);
  OPENSSL_cleanse(&gcm->message, sizeof gcm->message);
  delete gcm;
}

void* copy_context(void* context) { return new (std::nothrow) Gcm(*static_cast<const Gcm*>(context)); }

int set_context_params(void* context, const OSSL_PARAM params[]) {
  auto& gcm = *static_cast<Gcm*>(context);
  if (!params) return 1;
  if (const auto* ivlen = OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_IVLEN)) {
    std::size_t size = 0;
    if (OSSL_PARAM_get_size_t(ivlen, &size) != 1 || size != kNonce) return 0;
  }
  if (const auto* keylen = OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_KEYLEN)) {
    std::size_t size = 0;
    if (OSSL_PARAM_get_size_t(keylen, &size) != 1 || size != kKey) return 0;
  }
  if (const auto* tag = OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_AEAD_TAG)) {
    if (tag->data_type != OSSL_PARAM_OCTET_STRING || tag->data_size != kTag || gcm.seals) return 0;
    if (!tag->data) return 1;  // only the length
    std::memcpy(gcm.tag.data(), tag->data, kTag);
    gcm.has_tag = true;
  }
  return 1;
}

int start(Gcm& gcm, bool seals, const unsigned char* key, std::size_t key_bytes, const unsigned char* nonce,
          std::size_t nonce_bytes, const OSSL_PARAM params[]) {
  gcm.seals = seals;
  if (key) {
    if (key_bytes != kKey) return 0;
    IMB_AES128_GCM_PRE(gcm.manager, key, &gcm.key);
    gcm.has_key = true;
  }
  if (nonce) {
    if (nonce_bytes != kNonce) return 0;
    std::memcpy(gcm.nonce.data(), nonce, kNonce);
    gcm.has_nonce = true;
    gcm.has_tag = false;
    gcm.begun = false;
    gcm.associated_bytes = 0;
  }
  return set_context_params(&gcm, params);
}

int encrypt_init(void* context, const unsigned char* key, std::size_t key_bytes, const unsigned char* nonce,
                 std::size_t nonce_bytes, const OSSL_PARAM params[]) {
  return start(*static_cast<Gcm*>(context), true, key, key_bytes, nonce, nonce_bytes, params);
}

int decrypt_init(void* context, const unsigned char* key, std::size_t key_bytes, const unsigned char* nonce,
                 std::size_t nonce_bytes, const OSSL_PARAM params[]) {
  return start(*static_cast<Gcm*>(context), false, key, key_bytes, nonce, nonce_bytes, params);
}

bool begin_text(Gcm& gcm) {
  if (gcm.begun) return true;
  if (!gcm.has_key || !gcm.has_nonce) return false;
  IMB_AES128_GCM_INIT(gcm.manager, &gcm.key, &gcm.message, gcm.nonce.data(), gcm.associated.data(),
                      gcm.associated_bytes);
  gcm.begun = true;
  gcm.has_nonce = false;  // never twice under one key
  return true;
}

int update(void* context, unsigned char* out, std::size_t* out_bytes, std::size_t room, const unsigned char* in,
           std::size_t in_bytes) {
  auto& gcm = *static_cast<Gcm*>(context);
  *out_bytes = 0;
  if (!out) {
    if (gcm.begun || in_bytes > kMostAssociated - gcm.associated_bytes) return 0;
    std::memcpy(gcm.associated.data() + gcm.associated_bytes, in, in_bytes);
    gcm.associated_bytes += in_bytes;
    *out_bytes = in_bytes;
    return 1;
  }
  if (room < in_bytes || !begin_text(gcm)) return 0;
  if (gcm.seals) {
    IMB_AES128_GCM_ENC_UPDATE(gcm.manager, &gcm.key, &gcm.message, out, in, in_bytes);
  } else {
    IMB_AES128_GCM_DEC_UPDATE(gcm.manager, &gcm.key, &gcm.message, out, in, in_bytes);
  }
  *out_bytes = in_bytes;
  return 1;
}

int finish(void* context, unsigned char*, std::size_t* out_bytes, std::size_t) {
  auto& gcm = *static_cast<Gcm*>(context);
  *out_bytes = 0;
  if (!begin_text(gcm)) return 0;
  gcm.begun = false;
  if (gcm.seals) {
    IMB_AES128_GCM_ENC_FINALIZE(gcm.manager, &gcm.key, &gcm.message, gcm.tag.data(), kTag);
    gcm.has_tag = true;
    return 1;
  }
  std::array<std::uint8_t, kTag> computed{};
  IMB_AES128_GCM_DEC_FINALIZE(gcm.manager, &gcm.key, &gcm.message, computed.data(), kTag);
  return gcm.has_tag && CRYPTO_memcmp(computed.data(), gcm.tag.data(), kTag) == 0 ? 1 : 0;
}

bool set_size(OSSL_PARAM params[], const char* name, std::size_t value) {
  auto* found = OSSL_PARAM_locate(params, name);
  return !found || OSSL_PARAM_set_size_t(found, value) == 1;
}

int get_params(OSSL_PARAM params[]) {
  auto* mode = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_MODE);
  if (mode && OSSL_PARAM_set_uint(mode, EVP_CIPH_GCM_MODE) != 1) return 0;
  for (const auto* flag : {OSSL_CIPHER_PARAM_AEAD, OSSL_CIPHER_PARAM_CUSTOM_IV}) {
    auto* found = OSSL_PARAM_locate(params, flag);
    if (found && OSSL_PARAM_set_int(found, 1) != 1) return 0;
  }
  return set_size(params, OSSL_CIPHER_PARAM_KEYLEN, kKey) && set_size(params, OSSL_CIPHER_PARAM_IVLEN, kNonce) &&
                 set_size(params, OSSL_CIPHER_PARAM_BLOCK_SIZE, 1)
             ? 1
             : 0;
}

int get_context_params(void* context, OSSL_PARAM params[]) {
  const auto& gcm = *static_cast<const Gcm*>(context);
  if (auto* tag = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_AEAD_TAG)) {
    const bool may = gcm.seals && gcm.has_tag && tag->data_type == OSSL_PARAM_OCTET_STRING && tag->data_size == kTag;
    if (!may || OSSL_PARAM_set_octet_string(tag, gcm.tag.data(), kTag) != 1) return 0;
  }
  return set_size(params, OSSL_CIPHER_PARAM_KEYLEN, kKey) && set_size(params, OSSL_CIPHER_PARAM_IVLEN, kNonce) &&
                 set_size(params, OSSL_CIPHER_PARAM_AEAD_TAGLEN, kTag)
             ? 1
             : 0;
}

template <class Function>
constexpr OSSL_DISPATCH entry(int id, Function function) {
  return {id, reinterpret_cast<void (*)()>(function)};
}

const OSSL_DISPATCH* cipher_functions() {
  static const auto functions = std::to_array<OSSL_DISPATCH>({
      entry(OSSL_FUNC_CIPHER_NEWCTX, new_context),
      entry(OSSL_FUNC_CIPHER_FREECTX, free_context),
      entry(OSSL_FUNC_CIPHER_DUPCTX, copy_context),
      entry(OSSL_FUNC_CIPHER_ENCRYPT_INIT, encrypt_init),
      entry(OSSL_FUNC_CIPHER_DECRYPT_INIT, decrypt_init),
      entry(OSSL_FUNC_CIPHER_UPDATE, update),
      entry(OSSL_FUNC_CIPHER_FINAL, finish),
      entry(OSSL_FUNC_CIPHER_GET_PARAMS, get_params),
      entry(OSSL_FUNC_CIPHER_GET_CTX_PARAMS, get_context_params),
      entry(OSSL_FUNC_CIPHER_SET_CTX_PARAMS, set_context_params),
      {0, nullptr},
  });
  return functions.data();
}

const OSSL_ALGORITHM* query(void*, int operation, int* no_cache) {
  static const auto algorithms = std::to_array<OSSL_ALGORITHM>({
      {"AES-128-GCM:id-aes128-GCM:2.16.840.1.101.3.4.1.6", "provider=godwit-ipsec-mb", cipher_functions(),
       "AES-128-GCM by libipsec-mb"},
      {nullptr, nullptr, nullptr, nullptr},
  });
  *no_cache = 0;
  return operation == OSSL_OP_CIPHER ? algorithms.data() : nullptr;
}

void tear_down(void* provider) { free_mb_mgr(static_cast<IMB_MGR*>(provider)); }

struct FreeManager {
  void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
};

}  // namespace

extern "C" int godwit_ipsec_mb_provider(const OSSL_CORE_HANDLE*, const OSSL_DISPATCH*, const OSSL_DISPATCH** provided,
                                        void** context) {
  std::unique_ptr<IMB_MGR, FreeManager> manager(alloc_mb_mgr(0));
  if (!manager) return 0;
  IMB_ARCH arch = IMB_ARCH_NONE;
  init_mb_mgr_auto(manager.get(), &arch);
  if (imb_get_errno(manager.get()) != 0 || arch <= IMB_ARCH_NOAESNI) return 0;
  static const auto functions = std::to_array<OSSL_DISPATCH>({
      entry(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
      entry(OSSL_FUNC_PROVIDER_TEARDOWN, tear_down),
      {0, nullptr},
  });
  *provided = functions.data();
  *context = manager.release();
  return 1;
}

}  // namespace godwit::crypto
#else
namespace godwit::crypto {
extern "C" int godwit_ipsec_mb_provider(const OSSL_CORE_HANDLE*, const OSSL_DISPATCH*, const OSSL_DISPATCH**, void**) {
  return 0;
}
}  // namespace godwit::crypto
#endif
