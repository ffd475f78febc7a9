// Chains of an image that gets smaller when it is compressed: what its links carry, and when it is there.
#include "image/distribution.h"
#include "support/chain_cloud.h"

namespace godwit::image {
namespace {

using testing::ChainCloud;
using testing::Kind;

constexpr std::uint64_t kPieces = 640;
constexpr std::uint64_t kNic = 12'500'000;  // 100 Mbit/s

void limit_nics(ChainCloud& cloud) {
  for (std::size_t host = 0; host < cloud.size(); ++host) {
    cloud.world.network().set_nic(ChainCloud::id(host), kNic, kNic);
  }
}
double limit_s(const ChainCloud& cloud) { return static_cast<double>(cloud.payload()) / static_cast<double>(kNic); }

TEST(PackedChain, CrossesEachLinkOnceAndSmall) {
  const std::vector<std::string> sites{"cloud-a", "cloud-a", "cloud-b", "cloud-b", "cloud-b"};
  ChainCloud cloud(1, kPieces, sites, Kind::loose);
  limit_nics(cloud);
  for (auto host = sites.size() - 1; host > 0; --host) cloud.start(host);
  cloud.world.run_for(Seconds{2});  // agents run all the time; what comes is the image
  cloud.start(0);
  cloud.run_until_done(Seconds{60});
  const auto wan = static_cast<double>(cloud.world.network().carried("cloud-a", "cloud-b"));
  EXPECT_LT(wan, 0.45 * static_cast<double>(cloud.payload())) << cloud.state();
  for (std::size_t host = 1; host < sites.size(); ++host) {
    EXPECT_EQ(cloud.disk(host).puts, kPieces - kPieces / 10);
    EXPECT_LT(cloud.disk(host).reads, kPieces / 8) << "it passes on what came";
  }
}

TEST(PackedChain, IsThereSoonerByWhatItGotSmaller) {
  ChainCloud cloud(2, kPieces, std::vector<std::string>(8, "cloud-a"), Kind::loose);
  limit_nics(cloud);
  cloud.start_all();
  EXPECT_LT(cloud.run_until_done(Seconds{60}), 0.5 * limit_s(cloud)) << cloud.state();
}

TEST(PackedChain, ALimitIsOfWhatIsOnTheWire) {
  ChainCloud cloud(3, kPieces, std::vector<std::string>(4, "cloud-a"), Kind::loose);
  for (std::size_t host = 0; host < cloud.size(); ++host) cloud.limits[host] = kNic;
  cloud.start_all();
  EXPECT_LT(cloud.run_until_done(Seconds{60}), 0.5 * limit_s(cloud)) << cloud.state();
}

TEST(PackedChain, OutlivesTheDeathOfTwo) {
  for (const std::uint64_t seed : {4U, 5U, 6U}) {
    ChainCloud cloud(seed, kPieces, std::vector<std::string>(8, "cloud-a"), Kind::loose);
    limit_nics(cloud);
    cloud.start_all();
    EXPECT_TRUE(cloud.world.run_until([&] { return cloud.disk(7).here() > kPieces / 2; }, Seconds{60}))
        << cloud.state();
    cloud.crash(2);
    cloud.crash(5);
    EXPECT_LT(to_s(cloud.world.now().time_since_epoch()) + cloud.run_until_done(Seconds{60}), 0.75 * limit_s(cloud))
        << cloud.state();
    cloud.start(2);
    cloud.start(5);
    cloud.run_until_done(Seconds{60});
  }
}

}  // namespace
}  // namespace godwit::image
