#include "sky/ssh_key.h"

#include "crypto/digest.h"
#include "support/counting_random.h"

#include <gtest/gtest.h>

namespace godwit::sky {
namespace {

// OpenSSH 9.2's `ssh-keygen -y` reads the private key of this digest, and prints this public key.
TEST(SshKey, IsWhatOpenSshReads) {
  testing::CountingRandom random;
  const auto key = draw_ssh_key(random, "demo");
  ASSERT_TRUE(key);
  EXPECT_EQ(crypto::sha256_hex(as_bytes(key->private_key)),
            "f71a1b5d37a1914107bf9a787e36f105c2abf32bb149b8fbafa9cbd97e883439");
  EXPECT_EQ(key->public_key, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINP3qTAcHbP7GnT5Ndlbtg5yWjw1Tqtjm8sIKcfLXaan demo");
}

}  // namespace
}  // namespace godwit::sky
