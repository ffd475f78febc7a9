// Two hosts that speak through a relay alone: one sends datagrams as fast as it can, the other counts. What is carried
// is not sealed: the relay doesn't look at it. bench_relay runs it. Usage: relay_flood RELAY_KEY PORT SECONDS; prints
// Gbit/s.
#include "os/packet_io.h"
#include "os/system.h"
#include "overlay/underlay.h"

#include <algorithm>
#include <iostream>

namespace godwit {
namespace {

constexpr std::size_t kDatagram = 1440;
constexpr std::size_t kTrain = 40;   // datagrams side by side, as a slicer's batch makes them
constexpr std::size_t kTrains = 16;  // one after the other, before others get their turn
constexpr Seconds kWarm{1};

struct Host {
  Host(os::System& system, const char* ip, unsigned number)
      : runtime(system.runtime()),
        packets(*os::SystemPacketIo::open(runtime.executor, sys::parse_udp_endpoint(ip, 0).value())),
        core(key_of(number), runtime.random, [this] { return runtime.clock.wall_now(); }, ciphers) {}

  static crypto::KeyPair key_of(unsigned number) {
    crypto::Secret secret;
    store_be32(secret.writable(), number);
    return crypto::KeyPair::of(secret);
  }
  void tick() {
    const auto now = runtime.clock.now();
    core.poll(now);
    for (const auto& each : core.take_out(now)) {
      const std::array<sys::OutPacket, 1> out{sys::OutPacket{0, each.to, each.bytes}};
      packets->send(out);
    }
  }
  // Carried bytes are counted, all else is for the core.
  void take(const sys::Packet& packet) {
    for (auto rest = packet.bytes; !rest.empty();) {
      const auto size = packet.segment == 0 ? rest.size() : std::min(packet.segment, rest.size());
      if (size == kDatagram && overlay::carried_channel(rest)) {
        counted += size;
      } else {
        static_cast<void>(core.on_datagram(runtime.clock.now(), packet.peer, rest.first(size)));
      }
      rest = rest.subspan(size);
    }
  }
  sys::Task<void> receive() {
    while (co_await packets->wait_readable()) {
      for (const auto& each : packets->receive()) take(each);
      tick();
    }
  }

  sys::Runtime runtime;
  crypto::Ciphers ciphers{crypto::Ciphers::fastest()};
  std::unique_ptr<os::SystemPacketIo> packets;
  overlay::Underlay core;
  std::uint64_t counted{0};
};

void flood(Host& from, const sys::UdpEndpoint& relay, std::uint32_t channel) {
  static ByteVector train(kDatagram * kTrain, std::byte{7});
  for (std::size_t i = 0; i < kTrain; ++i) {
    overlay::write_carried_header(ByteSpan(train).subspan(i * kDatagram), channel);
  }
  sys::OutPacket packet{0, relay, train};
  packet.segment = kDatagram;
  const std::vector<sys::OutPacket> out(kTrains, packet);
  from.packets->send(out);
}

sys::Task<int> measure(os::System& on, overlay::RelaySpec relay, Seconds span) {
  Host a(on, "127.0.0.2", 1);
  Host b(on, "127.0.0.3", 2);
  auto& clock = a.runtime.clock;
  sys::Gate gate(a.runtime.executor);
  for (auto* each : {&a, &b}) {
    each->core.use_relay(clock.now(), relay).value();
    gate.spawn(each->receive());
  }
  const auto peer = a.core.add(clock.now(), {Host::key_of(2).public_key(), {}, overlay::Profile::native}, {});
  static_cast<void>(b.core.add(clock.now(), {Host::key_of(1).public_key(), {}, overlay::Profile::native}, {}));
  const sys::UdpEndpoint* way = nullptr;
  while (!way) {
    a.tick();
    b.tick();
    way = a.core.paths().best(peer);
    co_await clock.sleep_for(Millis{20});
  }
  const auto channel = overlay::relayed_of(*way)->number;
  TimePoint began = clock.now();
  const auto end = began + kWarm + span;
  bool warm = false;
  while (clock.now() < end) {
    flood(a, relay.at, channel);
    a.tick();
    co_await clock.sleep_for(Nanos{1});  // the receiver's turn
    if (warm || clock.now() < began + kWarm) continue;
    warm = true;
    began = clock.now();
    b.counted = 0;
  }
  std::cout << static_cast<double>(b.counted) * 8 / to_s(clock.now() - began) / 1e9 << std::endl;
  co_await gate.close();
  co_return 0;
}

}  // namespace
}  // namespace godwit

int main(int argc, char** argv) {
  using namespace godwit;
  if (argc != 4) return 2;
  overlay::RelaySpec relay;
  const auto key = from_base64url(argv[1]).value();
  std::ranges::copy(key, relay.key.begin());
  relay.at = sys::parse_udp_endpoint("127.0.0.1", static_cast<std::uint16_t>(std::stoul(argv[2]))).value();
  const Seconds span{std::stol(argv[3])};
  os::System system({.log_level = LogLevel::warn, .component = "flood"});
  return system.run([&](os::System& on) { return measure(on, relay, span); });
}
