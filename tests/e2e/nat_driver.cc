// A host of the overlay without a switch: sessions, ways and relay over real sockets. It says something to each of its
// peers every 50 ms, and prints every second, and in the end, who was reached and how.
//
// nat_driver NUMBER LISTEN_IP RELAY_KEY RELAY_IP RELAY_PORT SECONDS [KEYS TCP_PORT NAME] : PEER…
// Keys are made of numbers, so that all know each other. KEYS is a file of `godwit tunnel keys`, NAME the relay's.
#include "os/packet_io.h"
#include "os/system.h"
#include "os/tcp.h"
#include "os/tls.h"
#include "overlay/datagram_stream.h"
#include "overlay/underlay.h"

#include <algorithm>
#include <iostream>
#include <map>

namespace godwit {
namespace {

constexpr Millis kSayEvery{50};
constexpr Seconds kReportEvery{1};
constexpr std::string_view kText = "hello";

struct Options {
  std::uint32_t number{0};
  std::string ip;
  overlay::RelaySpec relay;
  std::string relay_ip;
  Seconds span{0};
  std::string keys;
  std::uint16_t tcp_port{0};
  std::string name;
  std::vector<std::uint32_t> peers;
};

crypto::KeyPair key_of(std::uint32_t number) {
  crypto::Secret secret;
  store_be32(secret.writable(), number + 1);
  return crypto::KeyPair::of(secret);
}

struct Peer {
  std::uint32_t number{0};
  std::uint64_t said{0};
  std::uint64_t heard{0};
};

class Driver {
 public:
  Driver(os::System& system, const Options& options, sys::PacketIo& packets)
      : runtime_(system.runtime()),
        options_(options),
        packets_(packets),
        core_(
            key_of(options.number), runtime_.random, [this] { return runtime_.clock.wall_now(); }, ciphers_),
        gate_(runtime_.executor) {
    const auto now = runtime_.clock.now();
    core_.use_relay(now, options.relay).value();
    core_.set_addresses(now, std::array{packets.local()});
    for (const auto number : options.peers) {
      peers_[core_.add(now, {key_of(number).public_key(), {}, overlay::Profile::native}, {})].number = number;
    }
  }

  sys::Task<void> run() {
    gate_.spawn(receive());
    const auto end = runtime_.clock.now() + options_.span;
    auto report_at = runtime_.clock.now() + kReportEvery;
    for (auto next = runtime_.clock.now(); next < end; next += kSayEvery) {
      for (auto& [peer, state] : peers_) say(peer, state);
      tick();
      if (next >= report_at) {
        report();
        report_at += kReportEvery;
      }
      if (core_.wants_relay_connection(0) && options_.tcp_port != 0 && !link_) co_await dial();
      co_await runtime_.clock.sleep_until(next + kSayEvery);
    }
    if (link_) link_->close();
    co_await gate_.close();
  }

  void report() {
    std::cout << "[";
    std::string_view separator;
    for (const auto& [peer, state] : peers_) {
      const auto* best = core_.paths().best(peer);
      std::cout << separator
                << fmt::format(R"({{"peer":{},"said":{},"heard":{},"direct":{},"at":"{}"}})", state.number, state.said,
                               state.heard, best && !overlay::is_relayed(*best), best ? sys::to_string(*best) : "");
      separator = ",";
    }
    std::cout << "]" << std::endl;
  }

 private:
  void say(overlay::PeerId peer, Peer& state) {
    ByteVector bytes(overlay::kRelayHeader + overlay::kSealOverhead + kText.size());
    const auto datagram = ByteSpan(bytes).subspan(overlay::kRelayHeader);
    std::ranges::copy(as_bytes(kText), datagram.begin() + overlay::kSealHeader);
    const auto route = core_.seal(runtime_.clock.now(), peer, datagram);
    if (!route) return;
    ++state.said;
    if (route->channel != 0) overlay::write_carried_header(bytes, route->channel);
    send(route->to, route->channel != 0 ? ByteSpan(bytes) : datagram);
  }
  void send(const sys::UdpEndpoint& to, ByteView bytes) {
    if (overlay::is_relayed(to)) {
      if (link_) link_->post(bytes);
      return;
    }
    const std::array<sys::OutPacket, 1> out{sys::OutPacket{0, to, bytes}};
    packets_.send(out);
  }
  void tick() {
    const auto now = runtime_.clock.now();
    core_.poll(now);
    for (const auto& each : core_.take_out(now)) send(each.to, each.bytes);
  }
  void take(const sys::UdpEndpoint& from, ByteSpan bytes) {
    const auto opened = core_.on_datagram(runtime_.clock.now(), from, bytes);
    if (opened.what == overlay::Heard::data && as_text(opened.payload) == kText) ++peers_[opened.peer].heard;
    tick();
  }
  sys::Task<void> receive() {
    for (;;) {
      const auto readable = co_await packets_.wait_readable();
      if (!readable) co_return;
      for (const auto& each : packets_.receive()) {
        for (auto rest = each.bytes; !rest.empty();) {
          const auto size = each.segment == 0 ? rest.size() : std::min(each.segment, rest.size());
          take(each.peer, rest.first(size));
          rest = rest.subspan(size);
        }
      }
    }
  }
  sys::Task<void> receive_link() {
    ByteVector bytes;
    while (co_await link_->read(bytes)) take(overlay::relayed_endpoint({overlay::RelayedKind::connection, 1}), bytes);
  }
  sys::Task<void> write_link() { co_await link_->write_all(); }
  sys::Task<void> dial() {
    const auto pem = runtime_.files.read(options_.keys, 64UL * 1024);
    if (!pem) co_return;
    const auto ca = pem->rfind("-----BEGIN CERTIFICATE-----");
    const auto trusted = tls_.trust({{"tunnel", pem->substr(ca)}});
    if (!trusted) std::cerr << trusted.error().message << "\n";
    auto socket = co_await os::dial_tcp(options_.relay_ip, options_.tcp_port);
    if (!socket) co_return;
    auto stream = co_await tls_.connect(std::move(*socket), options_.name);
    if (!stream) {
      std::cerr << stream.error().message << "\n";
      co_return;
    }
    link_ = std::make_unique<overlay::DatagramStream>(runtime_.executor, std::move(*stream));
    gate_.spawn(receive_link());
    gate_.spawn(write_link());
    core_.on_relay_connection(runtime_.clock.now(), 0, true);
  }

  sys::Runtime runtime_;
  const Options& options_;
  sys::PacketIo& packets_;
  crypto::Ciphers ciphers_{crypto::Ciphers::fastest()};
  overlay::Underlay core_;
  std::map<overlay::PeerId, Peer> peers_;
  os::Tls tls_{{}};
  std::unique_ptr<overlay::DatagramStream> link_;
  sys::Gate gate_;
};

Options parse(const std::vector<std::string>& words) {
  Options out;
  out.number = static_cast<std::uint32_t>(std::stoul(words.at(0)));
  out.ip = words.at(1);
  const auto key = from_base64url(words.at(2)).value();
  std::ranges::copy(key, out.relay.key.begin());
  out.relay_ip = words.at(3);
  out.relay.at = sys::parse_udp_endpoint(words.at(3), static_cast<std::uint16_t>(std::stoul(words.at(4)))).value();
  out.span = Seconds{std::stol(words.at(5))};
  std::size_t i = 6;
  if (words.at(i) != ":") {
    out.keys = words.at(i);
    out.tcp_port = static_cast<std::uint16_t>(std::stoul(words.at(i + 1)));
    out.name = words.at(i + 2);
    i += 3;
  }
  while (++i < words.size()) out.peers.push_back(static_cast<std::uint32_t>(std::stoul(words[i])));
  return out;
}

}  // namespace
}  // namespace godwit

int main(int argc, char** argv) {
  using namespace godwit;
  const auto options = parse({argv + 1, argv + argc});
  os::System system({.log_level = LogLevel::warn, .component = "driver"});
  return system.run([&](os::System& on) -> sys::Task<int> {
    auto packets = os::SystemPacketIo::open(on.runtime().executor, sys::parse_udp_endpoint(options.ip, 4790).value());
    if (!packets) {
      std::cerr << packets.error().message << "\n";
      co_return 1;
    }
    Driver driver(on, options, **packets);
    co_await driver.run();
    driver.report();
    co_return 0;
  });
}
