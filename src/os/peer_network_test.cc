#include "os/peer_network.h"

#include "conformance/peer_network_suite.h"
#include "conformance/stream_suite.h"
#include "os/clock.h"
#include "os/tcp.h"
#include "support/test_authority.h"

#include <sys/socket.h>

namespace godwit::os {
namespace {

struct TcpHarness {
  testing::EventLoop loop;
  SystemClock time;
  std::map<std::string, testing::TestAuthority> authorities;
  std::map<std::string, std::unique_ptr<TcpPeerNetwork>> networks;

  void run(sys::Task<void> task) { loop.run(std::move(task)); }
  sys::Clock& clock() { return time; }
  sys::Executor executor() { return loop.executor(); }
  std::string address() { return "127.0.0.1"; }

  testing::TestAuthority& of(const std::string& cloud) { return authorities.try_emplace(cloud, cloud).first->second; }
  sys::TrustedCa authority(std::string cloud, std::string trusted_as) { return of(cloud).trusted_as(trusted_as); }

  sys::PeerNetwork& host(const testing::HostSpec& spec) {
    std::string key = spec.name + spec.signer;
    for (const auto& cloud : spec.trusts) key += cloud;
    auto& network = networks[key];
    if (network) return *network;
    network = std::make_unique<TcpPeerNetwork>(loop.executor(), time, Log());
    const auto identity = of(spec.signer).issue(spec.name, spec.expired);
    EXPECT_TRUE(network->use_identity({identity.certificate_pem, identity.key_pem}));
    std::vector<sys::TrustedCa> trusted;
    for (const auto& cloud : spec.trusts) trusted.push_back(of(cloud).trusted());
    network->trust(std::move(trusted));
    return *network;
  }

  sys::Task<Result<testing::StreamPair>> connect() {
    auto& network = host({"a1.cloud-a.godwit", "cloud-a", false, {"cloud-a"}});
    auto listener = network.listen(address(), 0);
    if (!listener) co_return pass(listener);
    sys::PeerAddress where{address(), (*listener)->port(), "a1.cloud-a.godwit"};
    auto a = co_await network.dial(where);
    if (!a) co_return pass(a);
    auto b = co_await (*listener)->accept();
    if (!b) co_return pass(b);
    testing::StreamPair pair;
    pair.a = std::move(*a);
    pair.b = std::move(*b);
    co_return pair;
  }
};

class PeerNetwork : public ::testing::Test {
 public:
  TcpHarness world;
  sys::PeerNetwork& network{world.host({"a1.cloud-a.godwit", "cloud-a", false, {"cloud-a"}})};
};

TEST_F(PeerNetwork, WithoutACertificateNobodyComesIn) {
  auto story = [](TcpHarness& harness, sys::PeerNetwork& host) -> sys::Task<void> {
    TcpPeerNetwork stranger(harness.loop.executor(), harness.time, Log());
    std::vector<sys::TrustedCa> trusted;
    trusted.push_back(harness.of("cloud-a").trusted());
    stranger.trust(std::move(trusted));
    auto listener = host.listen("127.0.0.1", 0);
    GODWIT_CO_ASSERT_OK(listener);
    sys::PeerAddress address{"127.0.0.1", (*listener)->port(), "a1.cloud-a.godwit"};
    auto stream = co_await stranger.dial(address);
    GODWIT_CO_ASSERT_OK(stream);
    ByteVector buffer(1);
    const auto read = co_await (*stream)->read_some(buffer);
    GODWIT_CO_ASSERT(!read);
    EXPECT_EQ(read.error().code, Errc::not_authentic) << read.error().message;
  };
  world.run(story(world, network));
}

TEST_F(PeerNetwork, AStrangerThatSaysNothingHoldsNobodyUp) {
  auto story = [](sys::PeerNetwork& host) -> sys::Task<void> {
    auto listener = host.listen("127.0.0.1", 0);
    GODWIT_CO_ASSERT_OK(listener);
    auto silent = co_await dial_tcp("127.0.0.1", (*listener)->port());
    GODWIT_CO_ASSERT_OK(silent);
    sys::PeerAddress address{"127.0.0.1", (*listener)->port(), "a1.cloud-a.godwit"};
    auto near = co_await host.dial(address);
    GODWIT_CO_ASSERT_OK(near);
    auto far = co_await (*listener)->accept();
    GODWIT_CO_ASSERT_OK(far);
  };
  world.run(story(network));
}

TEST_F(PeerNetwork, GarbageInsteadOfTlsIsDropped) {
  auto story = [](sys::PeerNetwork& host) -> sys::Task<void> {
    auto listener = host.listen("127.0.0.1", 0);
    GODWIT_CO_ASSERT_OK(listener);
    auto socket = co_await dial_tcp("127.0.0.1", (*listener)->port());
    GODWIT_CO_ASSERT_OK(socket);
    const auto stream = plain_stream(std::move(*socket), "garbage");
    const auto written = co_await stream->write(as_bytes("GET / HTTP/1.1\r\n\r\n"));
    GODWIT_CO_ASSERT_OK(written);
    ByteVector buffer(1000);
    Result<std::size_t> read = 0;
    while (read) read = co_await stream->read_some(buffer);  // an alert perhaps, then the end
  };
  world.run(story(network));
}

TEST_F(PeerNetwork, ACutIsNotTakenForTheEndOfWhatWasSent) {
  auto story = [](TcpHarness& harness) -> sys::Task<void> {
    auto pair = co_await harness.connect();
    GODWIT_CO_ASSERT_OK(pair);
    const auto written = co_await pair->a->write(as_bytes("half of a"));
    GODWIT_CO_ASSERT_OK(written);
    pair->a.reset();
    ByteVector buffer(100);
    const auto some = co_await pair->b->read_some(buffer);
    GODWIT_CO_ASSERT_OK(some);
    const auto end = co_await pair->b->read_some(buffer);
    GODWIT_CO_ASSERT(!end);
    EXPECT_EQ(end.error().code, Errc::io) << end.error().message;
  };
  world.run(story(world));
}

TEST_F(PeerNetwork, AKeyOfAnotherCertificateIsRefused) {
  TcpPeerNetwork host(world.loop.executor(), world.time, Log());
  const auto one = world.of("cloud-a").issue("a1.cloud-a.godwit");
  const auto two = world.of("cloud-a").issue("a2.cloud-a.godwit");
  const auto used = host.use_identity({one.certificate_pem, two.key_pem});
  ASSERT_FALSE(used);
  EXPECT_EQ(used.error().code, Errc::invalid_argument);
  EXPECT_FALSE(host.use_identity({"", ""}));
}

TEST_F(PeerNetwork, WhatAReaderDoesNotTakeTheWriterKeeps) {
  auto story = [](TcpHarness& harness) -> sys::Task<void> {
    auto pair = co_await harness.connect();
    GODWIT_CO_ASSERT_OK(pair);
    // Loopback's windows take some megabytes; the write of much more must wait for the reader.
    const ByteVector much(64UL * 1024 * 1024);
    const auto stuck = co_await sys::within(harness.time, Millis(100), "write", pair->a->write(much));
    GODWIT_CO_ASSERT(!stuck);
    EXPECT_EQ(stuck.error().code, Errc::timed_out);
  };
  world.run(story(world));
}

// The host "a1" listens at 127.0.0.2; 127.0.0.1 is where it seems to be.
class TwoWays : public PeerNetwork {
 public:
  static sys::PeerAddress both(std::uint16_t port) { return {"127.0.0.1", port, "a1.cloud-a.godwit", "127.0.0.2"}; }

  static sys::Task<void> arrives(sys::PeerNetwork& host, sys::PeerListener& listener) {
    auto stream = co_await host.dial(both(listener.port()));
    GODWIT_CO_ASSERT_OK(stream);
    auto far = co_await listener.accept();
    GODWIT_CO_ASSERT_OK(far);
    const auto written = co_await (*stream)->write(as_bytes("page"));
    GODWIT_CO_ASSERT_OK(written);
    ByteVector buffer(4);
    const auto read = co_await sys::read_exactly(**far, buffer);
    GODWIT_CO_ASSERT_OK(read);
    EXPECT_EQ(as_text(buffer), "page");
  }
};

TEST_F(TwoWays, WhereNobodyListensTheOverlayLeads) {
  auto story = [](sys::PeerNetwork& host) -> sys::Task<void> {
    auto listener = host.listen("127.0.0.2", 0);
    GODWIT_CO_ASSERT_OK(listener);
    co_await arrives(host, **listener);
  };
  world.run(story(network));
}

TEST_F(TwoWays, WhoIsSilentHoldsNobodyUp) {
  auto story = [](TcpHarness& harness, sys::PeerNetwork& host) -> sys::Task<void> {
    auto listener = host.listen("127.0.0.2", 0);
    GODWIT_CO_ASSERT_OK(listener);
    const auto silent =
        listen_tcp({.host = "127.0.0.1", .port = (*listener)->port(), .network_namespace = {}, .device = {}});
    GODWIT_CO_ASSERT_OK(silent);
    const auto began = harness.time.now();
    co_await arrives(host, **listener);
    EXPECT_LT(harness.time.now() - began, kHandshakeLimit);
  };
  world.run(story(world, network));
}

TEST_F(TwoWays, AnotherHostAtThatAddressIsNotTakenForIt) {
  auto story = [](TcpHarness& harness, sys::PeerNetwork& host) -> sys::Task<void> {
    auto listener = host.listen("127.0.0.2", 0);
    GODWIT_CO_ASSERT_OK(listener);
    auto& other = harness.host({"a2.cloud-a.godwit", "cloud-a", false, {"cloud-a"}});
    const auto somebody = other.listen("127.0.0.1", (*listener)->port());
    GODWIT_CO_ASSERT_OK(somebody);
    co_await arrives(host, **listener);
  };
  world.run(story(world, network));
}

TEST_F(TwoWays, TheDirectWayIsPreferred) {
  auto story = [](sys::PeerNetwork& host) -> sys::Task<void> {
    auto direct = host.listen("127.0.0.1", 0);
    GODWIT_CO_ASSERT_OK(direct);
    const auto by_overlay = host.listen("127.0.0.2", (*direct)->port());
    GODWIT_CO_ASSERT_OK(by_overlay);
    co_await arrives(host, **direct);
  };
  world.run(story(network));
}

TEST_F(TwoWays, WhereNeitherLeadsBothAreNamed) {
  auto story = [](sys::PeerNetwork& host) -> sys::Task<void> {
    auto listener = host.listen("127.0.0.3", 0);
    GODWIT_CO_ASSERT_OK(listener);
    const auto stream = co_await host.dial(both((*listener)->port()));
    GODWIT_CO_ASSERT(!stream);
    EXPECT_NE(stream.error().message.find("127.0.0.1"), std::string::npos) << stream.error().message;
    EXPECT_NE(stream.error().message.find("127.0.0.2"), std::string::npos) << stream.error().message;
  };
  world.run(story(network));
}

}  // namespace
}  // namespace godwit::os

namespace godwit::testing {
INSTANTIATE_TYPED_TEST_SUITE_P(Tcp, StreamSuite, os::TcpHarness);
INSTANTIATE_TYPED_TEST_SUITE_P(Tcp, PeerNetworkSuite, os::TcpHarness);
}  // namespace godwit::testing
