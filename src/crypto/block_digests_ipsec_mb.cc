#include "crypto/block_digest_engines.h"

#ifdef GODWIT_IPSEC_MB
#include "base/assert.h"

#include <intel-ipsec-mb.h>

namespace godwit::crypto {
namespace {

struct FreeManager {
  void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
};
using Manager = std::unique_ptr<IMB_MGR, FreeManager>;

class IpsecHasher final : public BlockDigests::Hasher {
 public:
  explicit IpsecHasher(Manager manager) : manager_(std::move(manager)) {}

  [[nodiscard]] BlockDigests::Engine engine() const override { return BlockDigests::Engine::ipsec_mb; }
  // The library hashes as many side by side as it has lanes, and returns each when it is done.
  void digest(ByteView blocks, ByteSpan into) override {
    const auto count = blocks.size() / kPage_bytes;
    std::size_t done = 0;
    for (std::size_t i = 0; i < count; ++i) {
      begin(blocks.subspan(i * kPage_bytes, kPage_bytes), into.subspan(i * kBlockDigest, kBlockDigest));
      if (ended(IMB_SUBMIT_JOB_NOCHECK(manager_.get()))) ++done;
    }
    while (ended(IMB_FLUSH_JOB(manager_.get()))) ++done;
    GODWIT_ASSERT(done == count);
  }

 private:
  void begin(ByteView block, ByteSpan into) {
    IMB_JOB& job = *IMB_GET_NEXT_JOB(manager_.get());
    job = {};
    job.cipher_mode = IMB_CIPHER_NULL;
    job.chain_order = IMB_ORDER_HASH_CIPHER;
    job.hash_alg = IMB_AUTH_SHA_256;
    job.src = reinterpret_cast<const std::uint8_t*>(block.data());
    job.msg_len_to_hash_in_bytes = block.size();
    job.auth_tag_output = reinterpret_cast<std::uint8_t*>(into.data());
    job.auth_tag_output_len_in_bytes = into.size();
  }
  static bool ended(const IMB_JOB* job) {
    if (!job) return false;
    GODWIT_ASSERT(job->status == IMB_STATUS_COMPLETED);
    return true;
  }

  Manager manager_;
};

}  // namespace

// Two blocks side by side by the processor's SHA instructions are faster than eight by AVX2, which is what the library
// chooses; bench_content has both.
std::unique_ptr<BlockDigests::Hasher> load_ipsec_mb_hasher() {
  Manager manager(alloc_mb_mgr(0));
  if (!manager) return nullptr;
  IMB_ARCH arch = IMB_ARCH_NONE;
  init_mb_mgr_auto(manager.get(), &arch);
  if (imb_get_errno(manager.get()) != 0 || arch <= IMB_ARCH_NOAESNI) return nullptr;
  const bool has_sha = (manager->features & IMB_FEATURE_SHANI) != 0;
  if (has_sha && arch < IMB_ARCH_AVX512) init_mb_mgr_sse(manager.get());
  if (imb_get_errno(manager.get()) != 0) return nullptr;
  return std::make_unique<IpsecHasher>(std::move(manager));
}

}  // namespace godwit::crypto
#else
namespace godwit::crypto {
std::unique_ptr<BlockDigests::Hasher> load_ipsec_mb_hasher() { return nullptr; }
}  // namespace godwit::crypto
#endif
