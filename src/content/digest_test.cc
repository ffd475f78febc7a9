#include "content/digest.h"

#include "support/pages.h"

#include <gtest/gtest.h>

namespace godwit::content {
namespace {

TEST(PageKey, ADigestIsHmacSha256OfThePageCutTo128Bits) {
  // openssl dgst -sha256 -mac HMAC -macopt key:secret, of 4,096 zeros.
  const PageKey key(as_bytes("secret"));
  EXPECT_EQ(to_hex(key.digest(ByteVector(4096))), "bce812bc4946e085b3a82e580a735c0d");
}

TEST(PageKey, UnderAnotherKeyOnePageHasAnotherDigest) {
  const PageKey alice(as_bytes("alice's"));
  const PageKey bob(as_bytes("bob's"));
  const auto page = testing::page_of(1);
  EXPECT_NE(alice.digest(page), bob.digest(page));
  EXPECT_EQ(alice.digest(page), PageKey(as_bytes("alice's")).digest(page));
  EXPECT_NE(alice.digest(page), alice.digest(testing::changed(page, 1, 1)));
  EXPECT_EQ(alice.digest(page), alice.digest(page)) << "one key is good for many pages";
}

}  // namespace
}  // namespace godwit::content
