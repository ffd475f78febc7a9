#include "overlay/service.h"

#include "os/clock.h"
#include "os/files.h"
#include "os/local_sockets.h"
#include "overlay/test_host.h"
#include "support/event_loop.h"
#include "support/temp_directory.h"

#include <gtest/gtest.h>

#include <set>

namespace godwit::overlay::testing {
namespace {

using godwit::testing::EventLoop;
using godwit::testing::TempDirectory;

// What comes and goes is FakePackets' business.
class NoDevice final : public sys::PacketDevice {
 public:
  std::span<const int> queues() const override { return {}; }
  std::optional<sys::DeviceFrame> read(std::size_t /*queue*/, ByteSpan /*room*/) override { return std::nullopt; }
  bool write(std::size_t /*queue*/, ByteView /*frame*/, const sys::Offload& /*offload*/) override { return false; }
  void flush() override {}
};
using MadeDevice = Result<std::unique_ptr<sys::PacketDevice>>;

// Devices that are names in sets.
class FakeLinks final : public sys::SwitchLinks {
 public:
  explicit FakeLinks(const sys::Executor& executor) : changed_(executor) {}

  MadeDevice open_tap(const std::string& name, std::uint32_t /*mtu*/, std::uint32_t wanted) override {
    if (broken) return fail(Errc::io, "open tap \"{}\": broken for the test", name);
    taps.insert(name);
    queues[name] = wanted;
    return std::make_unique<NoDevice>();
  }
  Result<> remove_tap(const std::string& name) override {
    taps.erase(name);
    return {};
  }
  Result<bool> join(const std::string& tap, const std::string& guest, bool /*promiscuous*/) override {
    if (!taps.contains(tap)) return fail(Errc::not_found, "join: {} is gone", tap);
    if (!guests.contains(guest)) return false;
    joined[tap] = guest;
    return true;
  }
  Result<> part(const std::string& guest) override {
    std::erase_if(joined, [&](const auto& each) { return each.second == guest; });
    return {};
  }
  MadeDevice open_gateway(const sys::GatewaySpec& spec) override {
    gateways.insert(spec.network_namespace);
    addresses = spec.addresses;
    return std::make_unique<NoDevice>();
  }
  MadeDevice open_host_device(const sys::HostDeviceSpec& spec) override {
    taps.insert(spec.name);
    host_address = spec.address;
    return std::make_unique<NoDevice>();
  }
  Result<> remove_gateway(const std::string& network_namespace) override {
    gateways.erase(network_namespace);
    return {};
  }
  sys::Task<Result<>> wait_changed() override {
    co_await changed_.wait();
    co_return Result<>{};
  }

  void plug(const std::string& guest) {
    guests.insert(guest);
    changed_.notify();
  }

  std::set<std::string> taps;
  std::map<std::string, std::uint32_t> queues;  // by TAP
  std::set<std::string> guests;
  std::set<std::string> gateways;
  std::map<std::string, std::string> joined;
  std::vector<std::string> addresses;
  std::string host_address;
  bool broken{false};

 private:
  sys::Signal changed_;
};

// Packets that a test puts in and takes out.
class FakePackets final : public sys::PacketIo {
 public:
  explicit FakePackets(const sys::Executor& executor) : readable_(executor) {}

  sys::PortHandle attach(std::unique_ptr<sys::PacketDevice> /*device*/) override {
    attached.insert(++last_);
    return last_;
  }
  void detach(sys::PortHandle port) override { attached.erase(port); }
  sys::UdpEndpoint local() const override { return host_address(1); }
  sys::Task<Result<>> wait_readable() override {
    if (waiting_.empty()) co_await readable_.wait();
    co_return Result<>{};
  }
  std::span<sys::Packet> receive() override {
    if (waiting_.empty()) return {};
    memory_ = std::move(waiting_.front().second);
    packet_ = {waiting_.front().first, {}, memory_, {}, 0};
    waiting_.pop_front();
    return {&packet_, 1};
  }
  void send(std::span<const sys::OutPacket> packets) override {
    for (const auto& each : packets) sent.push_back({each.port, ByteVector(each.bytes.begin(), each.bytes.end())});
  }
  sys::PacketCounts counts() const override { return {3, 0}; }

  void put(sys::PortHandle port, const ByteVector& bytes) {
    waiting_.emplace_back(port, bytes);
    readable_.notify();
  }

  std::set<sys::PortHandle> attached;
  std::vector<std::pair<sys::PortHandle, ByteVector>> sent;

 private:
  sys::Signal readable_;
  sys::PortHandle last_{0};
  std::deque<std::pair<sys::PortHandle, ByteVector>> waiting_;
  ByteVector memory_;
  sys::Packet packet_;
};

// A client of the control socket, one line at a time.
class Client {
 public:
  explicit Client(std::unique_ptr<sys::Stream> stream) : stream_(std::move(stream)) {}

  sys::Task<wire::SwitchReply> ask(std::string line) {
    line += "\n";
    const auto written = co_await stream_->write(as_bytes(line));
    EXPECT_TRUE(written);
    std::string answer;
    while (!answer.ends_with('\n')) {
      std::array<std::byte, 4096> chunk{};
      const auto size = co_await stream_->read_some(chunk);
      if (!size) {
        wire::SwitchReply closed;
        closed.error = "the connection was closed";
        co_return closed;
      }
      answer += as_text(ByteView(chunk).first(*size));
    }
    co_return *wire::decode<wire::SwitchReply>(answer);
  }
  sys::Task<wire::SwitchReply> ask(wire::SwitchRequest request) {
    auto line = wire::encode(request);
    return ask(std::move(line));
  }

 private:
  std::unique_ptr<sys::Stream> stream_;
};

wire::SwitchRequest config_request(wire::SwitchConfig config) {
  wire::SwitchRequest request;
  request.id = 7;
  request.op = wire::SwitchOp::config;
  request.config = std::move(config);
  return request;
}

wire::SwitchRequest request_of(wire::SwitchOp op) {
  wire::SwitchRequest request;
  request.id = 9;
  request.op = op;
  return request;
}

class ServiceTest : public ::testing::Test {
 protected:
  ServiceParts parts() { return {loop.executor(), clock, random, files, local, packets, links, seal, Log()}; }
  std::string socket_path() { return directory / "control"; }

  wire::SwitchConfig config(const std::map<unsigned, std::uint64_t>& ports) {
    return TestHost(1, 1).config(network_of({1, 2}), ports);
  }

  // Runs `story` against a service, which is stopped afterwards.
  template <class Story>
  void run(Story story, const std::optional<SavedState>& saved = std::nullopt) {
    Service service(parts(), directory / "");
    const auto started = service.start(socket_path(), saved);
    ASSERT_TRUE(started) << started.error().message;
    loop.run(tell(story, service));
  }
  template <class Story>
  sys::Task<void> tell(Story& story, Service& service) {
    auto stream = co_await local.dial(socket_path());
    GODWIT_CO_ASSERT_OK(stream);
    Client client(std::move(*stream));
    co_await story(client);
    co_await service.stop();
  }

  // Asks until the service has found the guest's device; the loop's limit ends a test in which it never does.
  sys::Task<void> until_joined(Client& client) {
    while (links.joined.empty()) {
      const auto request = request_of(wire::SwitchOp::stats);
      static_cast<void>(co_await client.ask(request));
    }
  }

  TempDirectory directory;
  EventLoop loop;
  os::SystemClock clock;
  SeededRandom random{1};
  os::SystemFiles files;
  os::SystemLocalSockets local{loop.executor()};
  FakePackets packets{loop.executor()};
  FakeLinks links{loop.executor()};
  ClearSeal seal{host_key(1)};
};

TEST_F(ServiceTest, AConfigurationMakesDevicesAndAnEmptyOneRemovesThem) {
  run([&](Client& client) -> sys::Task<void> {
    links.guests.insert("tap0");
    const auto wanted = config_request(config({{0, 1}}));
    auto reply = co_await client.ask(wanted);
    EXPECT_EQ(reply.error, "");
    EXPECT_EQ(reply.id, 7U);
    EXPECT_EQ(reply.overlay_ip, "10.1.0.1");
    EXPECT_EQ(reply.overlay_port, 4790);
    EXPECT_EQ(links.joined.at(tap_name({kNetworkId, instance_id(0)})), "tap0");
    EXPECT_EQ(links.addresses,
              (std::vector<std::string>{"10.77.0.1/24", "169.254.169.254/32", "fd12:3456:789a:bcde::a4d:1/64"}));
    EXPECT_EQ(packets.attached.size(), 2U);
    wire::SwitchConfig none;
    none.cloud = "cloud";
    none.host = "h1";
    reply = co_await client.ask(config_request(none));
    EXPECT_EQ(reply.error, "");
    EXPECT_TRUE(links.taps.empty() && links.gateways.empty() && links.joined.empty() && packets.attached.empty());
  });
}

TEST_F(ServiceTest, APortsDeviceHasAsManyQueuesAsItsGuestsAlsoAfterARestart) {
  const auto tap = tap_name({kNetworkId, instance_id(0)});
  run([&](Client& client) -> sys::Task<void> {
    auto wanted = config({{0, 1}});
    auto reply = co_await client.ask(config_request(wanted));
    EXPECT_EQ(links.queues.at(tap), 1U);  // an agent of before says nothing
    wanted.networks.at(0).ports.at(0).queues = 4;
    reply = co_await client.ask(config_request(wanted));
    EXPECT_EQ(reply.error, "");
    EXPECT_EQ(links.queues.at(tap), 4U);
    wanted.networks.at(0).ports.at(0).queues = 9;
    reply = co_await client.ask(config_request(wanted));
    EXPECT_NE(reply.error.find("queues must be 1 to 8"), std::string::npos) << reply.error;
  });
  links.queues.clear();
  const auto saved = load_state(files, directory / "");
  ASSERT_TRUE(saved && *saved);
  run([](Client&) -> sys::Task<void> { co_return; }, *saved);
  EXPECT_EQ(links.queues.at(tap), 4U);
}

TEST_F(ServiceTest, AHostThatOthersMayDialHasADeviceForThatAndSaysItsAddress) {
  run([&](Client& client) -> sys::Task<void> {
    wire::SwitchConfig wanted;
    wanted.cloud = "cloud";
    wanted.host = "h1";
    auto reply = co_await client.ask(config_request(wanted));
    EXPECT_EQ(reply.host_address, "");
    wanted.host_ports = {7402};
    reply = co_await client.ask(config_request(wanted));
    EXPECT_EQ(reply.error, "");
    EXPECT_TRUE(reply.host_address.starts_with("fd67:6f64:7769:")) << reply.host_address;
    EXPECT_EQ(links.host_address, reply.host_address + "/48");
  });
}

TEST_F(ServiceTest, APortIsJoinedWhenItsGuestsDeviceComes) {
  run([&](Client& client) -> sys::Task<void> {
    const auto wanted = config_request(config({{0, 1}}));
    static_cast<void>(co_await client.ask(wanted));
    EXPECT_TRUE(links.joined.empty());
    links.plug("tap0");
    co_await until_joined(client);
    EXPECT_EQ(links.joined.size(), 1U);
  });
}

TEST_F(ServiceTest, FramesAreSwitchedAndCounted) {
  run([&](Client& client) -> sys::Task<void> {
    links.guests.insert("tap0");
    const auto wanted = config_request(config({{0, 1}}));
    static_cast<void>(co_await client.ask(wanted));
    packets.sent.clear();
    // Names sort with the gateway first: it got handle 1, the guest's port 2.
    packets.put(2, guest_frame(0, 1, "hello"));
    packets.put(2, guest_frame(1, 0, "a lie"));
    const auto stats = co_await client.ask(request_of(wire::SwitchOp::stats));
    EXPECT_EQ(stats.pairs.size(), 1U);
    EXPECT_EQ(stats.pairs.at(0).source_mac, to_string(guest_mac(0)));
    EXPECT_EQ(stats.pairs.at(0).network, kNetworkId);
    EXPECT_EQ(stats.pairs.at(0).bytes, guest_frame(0, 1, "hello").size());
    std::map<std::string, std::uint64_t> drops;
    for (const auto& each : stats.drops) drops[each.reason] = each.frames;
    EXPECT_EQ(drops, (std::map<std::string, std::uint64_t>{{"spoofed_mac", 1}, {"refused_by_kernel", 3}}));
  });
}

TEST_F(ServiceTest, AnAnnouncementIsAnsweredWithinTheLimitThoughNobodyHearsIt) {
  run([&](Client& client) -> sys::Task<void> {
    const auto wanted = config_request(config({{0, 0}}));
    static_cast<void>(co_await client.ask(wanted));
    auto request = request_of(wire::SwitchOp::announce);
    request.announce = {kNetworkId, instance_id(0), 2};
    const auto reply = co_await client.ask(request);
    EXPECT_EQ(reply.error, "");
    EXPECT_EQ(reply.peers, 1U);
    EXPECT_EQ(reply.acknowledged, 0U);
    EXPECT_GE(reply.waited_ms, 100);
    request.announce.instance = instance_id(5);
    const auto refused = co_await client.ask(request);
    EXPECT_NE(refused.error, "");
  });
}

TEST_F(ServiceTest, LocationsComeWithoutTheNetworksKey) {
  run([&](Client& client) -> sys::Task<void> {
    const auto wanted = config_request(config({{0, 1}}));
    static_cast<void>(co_await client.ask(wanted));
    const auto reply = co_await client.ask(request_of(wire::SwitchOp::locations));
    EXPECT_EQ(reply.networks.at(0).members.at(1).location, location_at(2, 1));
    EXPECT_EQ(reply.networks.at(0).key, "");
  });
}

TEST_F(ServiceTest, ItsSuccessorBeginsWhereItEnded) {
  run([&](Client& client) -> sys::Task<void> {
    const auto wanted = config_request(config({{0, 1}, {1, 0}}));
    static_cast<void>(co_await client.ask(wanted));
    auto request = request_of(wire::SwitchOp::announce);
    request.announce = {kNetworkId, instance_id(1), 2};
    static_cast<void>(co_await client.ask(request));
  });
  auto saved = load_state(files, directory / "");
  ASSERT_TRUE(saved && *saved);
  EXPECT_EQ((*saved)->underlay_port, 4790);
  links.joined.clear();
  links.guests = {"tap0", "tap1"};
  const auto joined_and_located = [&](Client& client) -> sys::Task<void> {
    const auto reply = co_await client.ask(request_of(wire::SwitchOp::locations));
    EXPECT_EQ(reply.networks.at(0).members.at(1).location, location_at(1, 2));
    EXPECT_EQ(links.joined.size(), 2U);
  };
  run(joined_and_located, *saved);
}

TEST_F(ServiceTest, ABrokenDeviceIsTriedAgainAndTheRestWorks) {
  run([&](Client& client) -> sys::Task<void> {
    links.broken = true;
    links.guests.insert("tap0");
    const auto wanted = config_request(config({{0, 1}}));
    const auto reply = co_await client.ask(wanted);
    EXPECT_EQ(reply.error, "");
    EXPECT_EQ(links.gateways.size(), 1U);
    EXPECT_TRUE(links.joined.empty());
    links.broken = false;
    links.plug("tap0");
    co_await until_joined(client);
    EXPECT_EQ(links.joined.size(), 1U);
  });
}

TEST_F(ServiceTest, NonsenseIsRefusedAndTheConnectionGoesOn) {
  run([&](Client& client) -> sys::Task<void> {
    for (const auto* line : {"", "{", "[]", "{\"op\":\"explode\"}",
                             "{\"op\":\"config\",\"config\":{\"networks\":[{}]}}", "{\"op\":7}", "\xff\xfe"}) {
      const auto reply = co_await client.ask(std::string(line));
      EXPECT_NE(reply.error, "") << line;
    }
    const auto reply = co_await client.ask(request_of(wire::SwitchOp::stats));
    EXPECT_EQ(reply.error, "");
  });
}

TEST_F(ServiceTest, AStateThatCannotBeReadSaysWhere) {
  ASSERT_TRUE(files.write_atomic(directory / "switch.json", "{\"config\":3}", 0600));
  const auto state = load_state(files, directory / "");
  ASSERT_FALSE(state);
  EXPECT_NE(state.error().message.find("switch.json"), std::string::npos);
}

}  // namespace
}  // namespace godwit::overlay::testing
