#include "crypto/block_digests.h"

#include "base/assert.h"
#include "crypto/block_digest_engines.h"
#include "crypto/drawn.h"

#include <algorithm>

namespace godwit::crypto {
namespace {

class OpensslHasher final : public BlockDigests::Hasher {
 public:
  [[nodiscard]] BlockDigests::Engine engine() const override { return BlockDigests::Engine::openssl; }
  void digest(ByteView blocks, ByteSpan into) override {
    for (; !blocks.empty(); blocks = blocks.subspan(kPage_bytes), into = into.subspan(kBlockDigest)) {
      std::ranges::copy(sha256(blocks.first(kPage_bytes)), into.begin());
    }
  }
};

constexpr std::size_t kMostCompared = 33;  // blocks: more than any number of lanes, and no multiple of one

bool same_digests(BlockDigests::Hasher& trusted, BlockDigests::Hasher& other) {
  const auto blocks = drawn(kMostCompared * kPage_bytes, 1);
  ByteVector right(kMostCompared * kBlockDigest);
  trusted.digest(blocks, right);
  for (std::size_t count = 1; count <= kMostCompared; ++count) {
    ByteVector found(count * kBlockDigest);
    const auto first = kMostCompared - count;  // so that each lane has had each block
    other.digest(ByteView(blocks).subspan(first * kPage_bytes), found);
    if (!std::ranges::equal(found, ByteView(right).subspan(first * kBlockDigest))) return false;
  }
  return true;
}

}  // namespace

std::unique_ptr<BlockDigests::Hasher> if_same_as_openssl(std::unique_ptr<BlockDigests::Hasher> hasher) {
  auto trusted = std::make_unique<OpensslHasher>();
  if (!hasher || !same_digests(*trusted, *hasher)) return trusted;
  return hasher;
}

BlockDigests::BlockDigests(std::unique_ptr<Hasher> hasher) : hasher_(std::move(hasher)) {}
BlockDigests::~BlockDigests() = default;
BlockDigests::BlockDigests(BlockDigests&&) noexcept = default;
BlockDigests& BlockDigests::operator=(BlockDigests&&) noexcept = default;

BlockDigests BlockDigests::openssl() { return BlockDigests(std::make_unique<OpensslHasher>()); }

BlockDigests BlockDigests::fastest() { return BlockDigests(if_same_as_openssl(load_ipsec_mb_hasher())); }

BlockDigests::Engine BlockDigests::engine() const { return hasher_->engine(); }

void BlockDigests::digest(ByteView blocks, ByteSpan into) {
  GODWIT_ASSERT(blocks.size() % kPage_bytes == 0 && into.size() == blocks.size() / kPage_bytes * kBlockDigest);
  hasher_->digest(blocks, into);
}

}  // namespace godwit::crypto
