// The simulated seams, in the suites that the real ones pass.
#include "conformance/peer_network_suite.h"
#include "conformance/stream_suite.h"
#include "sim/host.h"
#include "sim/network.h"

namespace godwit::sim {
namespace {

// A bare program: what a test spawns is its main().
class Bare final : public Program {};

// One world, one process that tests run in.
struct Harness {
  World world{1};
  Host& host{world.add_host("a1", "cloud-a", "10.1.0.11")};
  Host& other{world.add_host("b1", "cloud-b", "10.2.0.11")};
  Process& process{host.start("test", {"a1.cloud-a.godwit", "cloud-a"}, make_bare)};

  static std::unique_ptr<Program> make_bare(Process&) { return std::make_unique<Bare>(); }

  void run(sys::Task<void> task) {
    bool ended = false;
    auto whole = [](sys::Task<void> each, bool& over) -> sys::Task<void> {
      co_await std::move(each);
      over = true;
    };
    process.spawn(whole(std::move(task), ended));
    EXPECT_TRUE(world.run_until([&] { return ended; }, Seconds{3600})) << "the task did not end";
  }
  sys::Clock& clock() { return process.runtime().clock; }
  sys::Executor executor() { return process.runtime().executor; }
};

struct UnixHarness : Harness {
  sys::Task<Result<testing::StreamPair>> connect() {
    auto& local = process.runtime().local;
    auto listener = local.listen("/s", 0600, 0);
    if (!listener) co_return pass(listener);
    auto a = co_await local.dial("/s");
    if (!a) co_return pass(a);
    auto b = co_await (*listener)->accept();
    if (!b) co_return pass(b);
    testing::StreamPair pair;
    pair.a = std::move(*a);
    pair.b = std::move(*b);
    co_return pair;
  }
};

// Each certificate is a process; those of one test run on one host, as the suite wants one address.
struct PeerHarness : Harness {
  std::map<std::string, Process*> made;

  std::string address() { return host.ip(); }
  sys::TrustedCa authority(std::string cloud, std::string trusted_as) { return sim::authority(cloud, trusted_as); }
  sys::PeerNetwork& host_of(const testing::HostSpec& spec) {
    std::string key = spec.name + spec.signer;
    for (const auto& cloud : spec.trusts) key += cloud;
    auto& at = made[key];
    if (!at) {
      at = &host.start(key, {spec.name, spec.signer, spec.expired}, make_bare);
      std::vector<sys::TrustedCa> trusted;
      for (const auto& cloud : spec.trusts) trusted.push_back(sim::authority(cloud, cloud));
      at->runtime().peers.trust(std::move(trusted));
    }
    return at->runtime().peers;
  }
};

// The suite calls it host(), as this harness calls its machine.
struct PeerSuiteHarness {
  PeerHarness inner;
  void run(sys::Task<void> task) { inner.run(std::move(task)); }
  sys::Clock& clock() { return inner.clock(); }
  sys::Executor executor() { return inner.executor(); }
  std::string address() { return inner.address(); }
  sys::TrustedCa authority(std::string cloud, std::string trusted_as) {
    return inner.authority(std::move(cloud), std::move(trusted_as));
  }
  sys::PeerNetwork& host(const testing::HostSpec& spec) { return inner.host_of(spec); }
};

// Two hosts with the WAN between them.
struct WanHarness : Harness {
  Process& far{other.start("far", {"b1.cloud-b.godwit", "cloud-b"}, make_bare)};
  sys::Task<Result<testing::StreamPair>> connect() {
    for (auto* each : {&process, &far}) {
      std::vector<sys::TrustedCa> trusted;
      trusted.push_back(sim::authority("cloud-a", "cloud-a"));
      trusted.push_back(sim::authority("cloud-b", "cloud-b"));
      each->runtime().peers.trust(std::move(trusted));
    }
    auto listener = far.runtime().peers.listen(other.ip(), 0);
    if (!listener) co_return pass(listener);
    sys::PeerAddress where{other.ip(), (*listener)->port(), "b1.cloud-b.godwit"};
    auto a = co_await process.runtime().peers.dial(where);
    if (!a) co_return pass(a);
    auto b = co_await (*listener)->accept();
    if (!b) co_return pass(b);
    testing::StreamPair pair;
    pair.a = std::move(*a);
    pair.b = std::move(*b);
    co_return pair;
  }
};

}  // namespace
}  // namespace godwit::sim

namespace godwit::testing {
INSTANTIATE_TYPED_TEST_SUITE_P(SimulatedUnix, StreamSuite, sim::UnixHarness);
INSTANTIATE_TYPED_TEST_SUITE_P(SimulatedWan, StreamSuite, sim::WanHarness);
INSTANTIATE_TYPED_TEST_SUITE_P(Simulated, PeerNetworkSuite, sim::PeerSuiteHarness);
}  // namespace godwit::testing
