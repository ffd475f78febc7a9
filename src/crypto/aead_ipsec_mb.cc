#include "crypto/aead_engines.h"

#ifdef GODWIT_IPSEC_MB
#include "base/assert.h"
#include "crypto/digest.h"
#include "crypto/secret.h"

#include <intel-ipsec-mb.h>

namespace godwit::crypto {
namespace {

const std::uint8_t* raw(ByteView bytes) { return reinterpret_cast<const std::uint8_t*>(bytes.data()); }
std::uint8_t* raw(ByteSpan bytes) { return reinterpret_cast<std::uint8_t*>(bytes.data()); }

class IpsecGcmKey final : public AeadKey {
 public:
  IpsecGcmKey(const IMB_MGR& manager, ByteView key) : manager_(manager) {
    GODWIT_ASSERT(key.size() == 32);
    IMB_AES256_GCM_PRE(&manager_, key.data(), &key_);
  }
  ~IpsecGcmKey() override { wipe({reinterpret_cast<std::byte*>(&key_), sizeof key_}); }
  IpsecGcmKey(const IpsecGcmKey&) = delete;
  IpsecGcmKey& operator=(const IpsecGcmKey&) = delete;

  void seal(const Nonce& nonce, ByteView associated, ByteSpan text, Tag tag) override {
    gcm_context_data context;  // NOLINT(cppcoreguidelines-pro-type-member-init): the library fills it
    IMB_AES256_GCM_ENC(&manager_, &key_, &context, raw(text), raw(ByteView(text)), text.size(), raw(ByteView(nonce)),
                       raw(associated), associated.size(), raw(ByteSpan(tag)), tag.size());
  }
  bool open(const Nonce& nonce, ByteView associated, ByteSpan text, TagView tag) override {
    gcm_context_data context;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    std::array<std::byte, kAeadTag> computed;
    IMB_AES256_GCM_DEC(&manager_, &key_, &context, raw(text), raw(ByteView(text)), text.size(), raw(ByteView(nonce)),
                       raw(associated), associated.size(), raw(ByteSpan(computed)), computed.size());
    return equal_secrets(computed, tag);
  }

 private:
  const IMB_MGR& manager_;
  alignas(64) gcm_key_data key_{};  // the header asks for it only where LINUX is defined
};

struct FreeManager {
  void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
};

class LoadedIpsecMb final : public IpsecMb {
 public:
  explicit LoadedIpsecMb(std::unique_ptr<IMB_MGR, FreeManager> manager) : manager_(std::move(manager)) {}
  [[nodiscard]] std::unique_ptr<AeadKey> gcm_key(ByteView key) const override {
    return std::make_unique<IpsecGcmKey>(*manager_, key);
  }

 private:
  std::unique_ptr<IMB_MGR, FreeManager> manager_;
};

}  // namespace

std::unique_ptr<IpsecMb> load_ipsec_mb() {
  std::unique_ptr<IMB_MGR, FreeManager> manager(alloc_mb_mgr(0));
  if (!manager) return nullptr;
  IMB_ARCH arch = IMB_ARCH_NONE;
  init_mb_mgr_auto(manager.get(), &arch);
  if (imb_get_errno(manager.get()) != 0 || arch <= IMB_ARCH_NOAESNI) return nullptr;
  return std::make_unique<LoadedIpsecMb>(std::move(manager));
}

}  // namespace godwit::crypto
#else
namespace godwit::crypto {
std::unique_ptr<IpsecMb> load_ipsec_mb() { return nullptr; }
}  // namespace godwit::crypto
#endif
