#include "crypto/block_digests.h"

#include "crypto/block_digest_engines.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace godwit::crypto {
namespace {

ByteVector random_blocks(std::size_t count) {
  std::mt19937_64 random(count);  // NOLINT(bugprone-random-generator-seed): the same in every run
  ByteVector out(count * kPage_bytes);
  std::ranges::generate(out, [&] { return static_cast<std::byte>(random()); });
  return out;
}

void expect_each_is_sha256(BlockDigests& digests, ByteView blocks) {
  const auto count = blocks.size() / kPage_bytes;
  ByteVector found(count * kBlockDigest);
  digests.digest(blocks, found);
  for (std::size_t i = 0; i < count; ++i) {
    EXPECT_EQ(to_hex(ByteView(found).subspan(i * kBlockDigest, kBlockDigest)),
              sha256_hex(blocks.subspan(i * kPage_bytes, kPage_bytes)))
        << "block " << i << " of " << count;
  }
}

TEST(BlockDigestsTest, EachIsTheSha256OfItsBlockHoweverManyComeAtOnce) {
  auto fastest = BlockDigests::fastest();
  auto openssl = BlockDigests::openssl();
  for (std::size_t count : {0U, 1U, 2U, 7U, 8U, 16U, 17U, 31U, 32U, 33U, 64U, 100U}) {
    const auto blocks = random_blocks(count);
    expect_each_is_sha256(fastest, blocks);
    expect_each_is_sha256(openssl, blocks);
  }
}

TEST(BlockDigestsTest, ABlockOfZerosHasTheDigestThatEverybodyKnows) {
  auto digests = BlockDigests::fastest();
  ByteVector found(kBlockDigest);
  digests.digest(ByteVector(kPage_bytes), found);
  EXPECT_EQ(to_hex(found), "ad7facb2586fc6e966c004d7d1d16b024f5805ff7cb47c7a85dabd8b48892ca7");
}

TEST(BlockDigestsTest, BlocksNeedNotLieAtAnyBorder) {
  auto digests = BlockDigests::fastest();
  const auto blocks = random_blocks(5);
  expect_each_is_sha256(digests, ByteView(blocks).subspan(13, 3 * kPage_bytes));
}

// In libipsec-mb's place: right but for the last block of a batch of so many, as if one lane were broken.
class FlawedHasher final : public BlockDigests::Hasher {
 public:
  explicit FlawedHasher(std::size_t broken) : broken_(broken) {}
  [[nodiscard]] BlockDigests::Engine engine() const override { return BlockDigests::Engine::ipsec_mb; }
  void digest(ByteView blocks, ByteSpan into) override {
    right_.digest(blocks, into);
    if (blocks.size() == broken_ * kPage_bytes) into.back() ^= std::byte{1};
  }

 private:
  std::size_t broken_;
  BlockDigests right_{BlockDigests::openssl()};
};

TEST(BlockDigestsTest, AnEngineThatDoesNotAsOpensslDoesIsRefused) {
  EXPECT_EQ(if_same_as_openssl(std::make_unique<FlawedHasher>(0))->engine(), BlockDigests::Engine::ipsec_mb);
  for (const std::size_t broken : {1U, 8U, 16U, 17U, 33U}) {
    EXPECT_EQ(if_same_as_openssl(std::make_unique<FlawedHasher>(broken))->engine(), BlockDigests::Engine::openssl)
        << broken;
  }
  EXPECT_EQ(if_same_as_openssl(nullptr)->engine(), BlockDigests::Engine::openssl);
  EXPECT_EQ(BlockDigests::fastest().engine(), if_same_as_openssl(load_ipsec_mb_hasher())->engine());
}

}  // namespace
}  // namespace godwit::crypto
