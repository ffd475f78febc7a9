#include "crypto/x25519.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace godwit::crypto {
namespace {

PublicKey key_of(std::string_view hex) {
  PublicKey key;
  std::ranges::copy(*from_hex(hex), key.begin());
  return key;
}
KeyPair pair_of(std::string_view hex) { return KeyPair::of(Secret(key_of(hex))); }

TEST(X25519Test, MultipliesAsTheRfcShows) {  // RFC 7748, section 5.2
  const auto shared = pair_of("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
                          .agree(key_of("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"));
  ASSERT_TRUE(shared);
  EXPECT_EQ(to_hex(shared->bytes()), "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
}

TEST(X25519Test, AliceAndBobAgree) {  // RFC 7748, section 6.1
  const auto alice = pair_of("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
  const auto bob = pair_of("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
  EXPECT_EQ(to_hex(alice.public_key()), "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  EXPECT_EQ(to_hex(bob.public_key()), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  const auto shared = alice.agree(bob.public_key());
  ASSERT_TRUE(shared);
  EXPECT_EQ(to_hex(shared->bytes()), "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
  EXPECT_EQ(bob.agree(alice.public_key()), shared);
}

TEST(X25519Test, AKeyThatLeavesNoSecretIsRefused) {
  const auto alice = pair_of("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
  EXPECT_FALSE(alice.agree(PublicKey{}));
  EXPECT_FALSE(alice.agree(key_of("0100000000000000000000000000000000000000000000000000000000000000")));
  EXPECT_FALSE(alice.agree(key_of("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")));
}

}  // namespace
}  // namespace godwit::crypto
