// Whom a relay serves.
#include "overlay/relay_admission.h"

#include "overlay/test_host.h"

#include <gtest/gtest.h>

namespace godwit::overlay {
namespace {

using namespace testing;

struct Cloud {
  explicit Cloud(std::string cloud) : name(std::move(cloud)) {}

  [[nodiscard]] ByteVector record(const crypto::HostKey& of,
                                  crypto::SessionProfile profile = crypto::SessionProfile::native) const {
    const crypto::HostRecord says{name, "h1", of, profile, {kWallNow, kWallNow + crypto::kHostRecordLife}};
    return crypto::sign_host_record(says, key).value();
  }
  [[nodiscard]] wire::CloudCa ca() const { return {name, pem}; }

  std::string name;
  SeededRandom random{7};
  crypto::Key key{crypto::Key::generate().value()};
  std::string pem{
      crypto::make_authority(key, name, {kWallNow - Seconds{3600}, kWallNow + std::chrono::hours(1000)}, random)
          .value()};
};

crypto::HostKey key_of(unsigned number) {
  crypto::HostKey out{};
  store_be32(out, number);
  return out;
}

class RelayAdmissionTest : public ::testing::Test {
 protected:
  Cloud known_{"cloud-a"};
  Cloud other_{"cloud-b"};
  WallTime now_{kWallNow};
  RelayAdmission admission_{[this] { return now_; }};
};

TEST_F(RelayAdmissionTest, NobodyIsServedUnlessSomebodySaysSo) {
  EXPECT_FALSE(admission_.admits(key_of(1), {}));
  EXPECT_FALSE(admission_.admits(key_of(1), known_.record(key_of(1))));
}

TEST_F(RelayAdmissionTest, KeysThatAreListedNeedNoRecord) {
  admission_.allow({key_of(1)});
  EXPECT_TRUE(admission_.admits(key_of(1), {}));
  EXPECT_FALSE(admission_.admits(key_of(2), {}));
}

TEST_F(RelayAdmissionTest, AHostOfAKnownCloudIsServedByItsRecordWhileThatHolds) {
  ASSERT_TRUE(admission_.trust({known_.ca()}));
  EXPECT_TRUE(admission_.admits(key_of(1), known_.record(key_of(1))));
  now_ = kWallNow + crypto::kHostRecordLife + Seconds{3600};
  EXPECT_FALSE(admission_.admits(key_of(1), known_.record(key_of(1)))) << "it has expired";
}

TEST_F(RelayAdmissionTest, OthersAreNot) {
  ASSERT_TRUE(admission_.trust({known_.ca()}));
  EXPECT_FALSE(admission_.admits(key_of(1), {})) << "nothing to show";
  EXPECT_FALSE(admission_.admits(key_of(2), known_.record(key_of(1)))) << "another host's record";
  EXPECT_FALSE(admission_.admits(key_of(1), other_.record(key_of(1)))) << "of a cloud that it doesn't know";
  auto forged = known_.record(key_of(1));
  forged.back() ^= std::byte{1};
  EXPECT_FALSE(admission_.admits(key_of(1), forged));
  EXPECT_FALSE(admission_.admits(key_of(3), known_.record(key_of(3), crypto::SessionProfile::wireguard)));
}

TEST_F(RelayAdmissionTest, AnAuthorityThatIsNoneIsAnError) { EXPECT_FALSE(admission_.trust({{"cloud-a", "none"}})); }

}  // namespace
}  // namespace godwit::overlay
