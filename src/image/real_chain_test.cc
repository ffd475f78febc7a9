// Four hosts on real TLS and the real clock; one of them dies.
#include "os/system.h"
#include "support/chain_cloud.h"
#include "support/test_authority.h"

namespace godwit::image {
namespace {

constexpr std::uint64_t kPieces = 256;
const std::string kCloud = "cloud-a";

// One host: an identity of its own, the rest of the machine shared.
struct Host {
  Host(os::System& system, godwit::testing::TestAuthority& authority, int number)
      : name("a" + std::to_string(number) + "." + kCloud + ".godwit"),
        on(system.runtime()),
        network(on.executor, on.clock, on.log),
        runtime{on.executor, on.clock, on.random, on.files, on.page_files, on.processes,
                on.local,    network,  on.http,   on.taps,  on.log},
        pieces(std::make_shared<testing::MadeUpPieces>(kPieces, number == 0)) {
    const auto identity = authority.issue(name);
    EXPECT_TRUE(network.use_identity({identity.certificate_pem, identity.key_pem}));
    network.trust({authority.trusted()});
    auto listener = network.listen("127.0.0.1", 0).value();
    port = listener->port();
    distribution = std::make_unique<Distribution>(runtime, name);
    distribution->start(std::move(listener));
  }
  std::string name;
  sys::Runtime on;
  os::TcpPeerNetwork network;
  sys::Runtime runtime;
  std::shared_ptr<testing::MadeUpPieces> pieces;
  std::unique_ptr<Distribution> distribution;
  std::uint16_t port{0};
};

sys::Task<int> distribute(os::System& system) {
  godwit::testing::TestAuthority authority(kCloud);
  std::vector<std::unique_ptr<Host>> hosts;
  for (int number = 0; number < 4; ++number) hosts.push_back(std::make_unique<Host>(system, authority, number));
  std::vector<ChainHost> list;
  for (const auto& each : hosts) list.push_back({{"127.0.0.1", each->port, each->name, {}}, kCloud});
  for (const auto& each : hosts) {
    std::vector<Assignment> all;
    all.push_back({testing::kImage, each->pieces, list});
    each->distribution->limit(40'000'000);
    EXPECT_TRUE(each->distribution->set(std::move(all)));
  }
  auto& clock = hosts[0]->on.clock;
  const auto deadline = clock.now() + Seconds{30};
  while (hosts[1]->pieces->here() < kPieces / 3 && clock.now() < deadline) co_await clock.sleep_for(Millis{1});
  co_await hosts[2]->distribution->stop();
  hosts[2]->distribution.reset();
  while (!(hosts[1]->pieces->whole() && hosts[3]->pieces->whole()) && clock.now() < deadline) {
    co_await clock.sleep_for(Millis{5});
  }
  EXPECT_TRUE(hosts[1]->pieces->whole());
  EXPECT_TRUE(hosts[3]->pieces->whole());
  for (const auto& each : hosts) {
    if (each->distribution) co_await each->distribution->stop();
  }
  co_return 0;
}

TEST(RealChain, GoesOnOverTlsWithoutAHostThatIsGone) {
  os::System system({.log_level = LogLevel::warn, .component = "test"});
  EXPECT_EQ(system.run([](os::System& on) { return distribute(on); }), 0);
}

}  // namespace
}  // namespace godwit::image
