// For tests: a switch with guests, whose devices and underlay are lists.
#pragma once

#include "overlay/clear_seal.h"
#include "overlay/switch.h"

#include <deque>
#include <random>

namespace godwit::overlay::testing {

class SeededRandom final : public sys::Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  void fill(ByteSpan out) override {
    for (auto& each : out) each = static_cast<std::byte>(engine_());
  }
  // 0 to bound-1.
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }

 private:
  std::mt19937_64 engine_;
};

struct Datagram {
  sys::UdpEndpoint from;
  sys::UdpEndpoint to;
  ByteVector bytes;
};

// Its first record is a guest's frame.
inline bool carries_a_frame(const Datagram& datagram) {
  const auto header = read_record_header(ByteView(datagram.bytes).subspan(kSealHeader + kSliceHeader));
  return !header || header->kind != RecordKind::control;
}

struct Delivered {
  std::string instance;  // empty: the gateway
  ByteVector frame;
  sys::Offload offload;
};

inline constexpr const char* kNetworkId = "net-00000000000000001";
inline constexpr std::uint32_t kVni = 7;
inline constexpr WallTime kWallNow{Millis(1'800'000'000'000)};

inline std::string instance_id(unsigned number) { return fmt::format("i-{:017x}", number); }
inline wire::Mac guest_mac(unsigned number) { return {0x026700000000ULL | number}; }
inline wire::Ipv4 guest_ip(unsigned number) { return {0x0a4d0000U | (number + 10U)}; }
inline wire::Ipv6 guest_ip6(unsigned number) { return {0xfd123456789abcdeULL, guest_ip(number).bits}; }
inline sys::UdpEndpoint host_address(unsigned number) {
  return *sys::parse_udp_endpoint(fmt::format("10.1.{}.{}", number >> 8U, number & 255U), 4790);
}
inline std::string host_name(unsigned number) { return fmt::format("h{}", number); }
inline crypto::PublicKey host_key(unsigned number) {
  crypto::PublicKey out{};
  store_be32(out, number);
  return out;
}
// Of what is signed: around the real time too, which tests with real clocks have.
inline constexpr std::chrono::hours kTestLife{100'000};
// The cloud that all hosts are of.
struct TestCloudCa {
  SeededRandom random{7};
  crypto::Key key{crypto::Key::generate().value()};
  std::string pem{crypto::make_authority(key, "cloud", {kWallNow - kTestLife, kWallNow + kTestLife}, random).value()};
};
inline const TestCloudCa& test_cloud() {
  static const TestCloudCa cloud;
  return cloud;
}
// Signed once: a signature is never the same again.
inline const std::string& host_record(unsigned number) {
  static std::map<unsigned, std::string> records;
  auto& record = records[number];
  if (record.empty()) {
    const crypto::HostRecord host{"cloud",
                                  host_name(number),
                                  host_key(number),
                                  crypto::SessionProfile::native,
                                  {kWallNow - kTestLife, kWallNow + kTestLife}};
    record = to_base64url(crypto::sign_host_record(host, test_cloud().key).value());
  }
  return record;
}
inline wire::Location location_at(unsigned host, std::uint64_t version) {
  const auto at = host_address(host);
  return {"cloud", host_name(host), sys::ip_to_string(at), at.port, version, host_record(host)};
}

// What proves that a guest is at that host, with that version: its cloud moves its own on its own word.
inline const std::string& location_claim(unsigned host, unsigned guest, std::uint64_t version) {
  static std::map<std::tuple<unsigned, unsigned, std::uint64_t>, std::string> claims;
  auto& claim = claims[{host, guest, version}];
  if (claim.empty()) {
    const crypto::LocationRecord record{"cloud",
                                        host_name(host),
                                        kNetworkId,
                                        kVni,
                                        instance_id(guest),
                                        version,
                                        crypto::LocationGrant::here,
                                        {kWallNow - kTestLife, kWallNow + kTestLife}};
    claim = claim_to_text({crypto::sign_location_record(record, test_cloud().key).value(), {}});
  }
  return claim;
}

// Member number i is at host[i] with version 1; host 0: nowhere.
inline wire::Network network_of(const std::vector<unsigned>& hosts) {
  wire::Network out;
  out.id = kNetworkId;
  out.tenant = "tenant";
  out.name = "demo";
  out.vni = kVni;
  out.cidr = "10.77.0.0/24";
  out.cidr6 = "fd12:3456:789a:bcde::/64";
  out.gateway = "10.77.0.1";
  out.domain = "demo.internal";
  out.key = std::string(64, 'a');
  for (unsigned i = 0; i < hosts.size(); ++i) {
    out.members.push_back({instance_id(i),
                           fmt::format("vm{}", i),
                           to_string(guest_mac(i)),
                           to_string(guest_ip(i)),
                           {},
                           hosts[i] == 0 ? wire::Location{} : location_at(hosts[i], 1)});
  }
  return out;
}

inline ByteVector ethernet(wire::Mac to, wire::Mac from, wire::EtherType type, ByteView payload) {
  ByteVector out;
  append_be16(out, static_cast<std::uint16_t>(to.bits >> 32U));
  append_be32(out, static_cast<std::uint32_t>(to.bits));
  append_be16(out, static_cast<std::uint16_t>(from.bits >> 32U));
  append_be32(out, static_cast<std::uint32_t>(from.bits));
  append_be16(out, static_cast<std::uint16_t>(type));
  append(out, payload);
  return out;
}

inline ByteVector ipv4_frame(wire::Mac to, wire::Mac from, wire::Ipv4 to_ip, wire::Ipv4 from_ip, std::string_view text,
                             std::uint16_t udp_port = 9) {
  ByteVector ip(28);
  const ByteSpan header(ip);
  ip[0] = std::byte{0x45};
  ip[9] = std::byte{17};
  store_be16(header.subspan(2), static_cast<std::uint16_t>(28 + text.size()));
  store_be32(header.subspan(12), from_ip.bits);
  store_be32(header.subspan(16), to_ip.bits);
  store_be16(header.subspan(22), udp_port);
  append(ip, as_bytes(text));
  return ethernet(to, from, wire::EtherType::ipv4, ip);
}

// From guest to guest, as an honest one sends it.
inline ByteVector guest_frame(unsigned from, unsigned to, std::string_view text) {
  return ipv4_frame(guest_mac(to), guest_mac(from), guest_ip(to), guest_ip(from), text);
}

// `payload` follows the IPv6 header.
inline ByteVector ipv6_frame(wire::Mac to, wire::Mac from, wire::Ipv6 to_ip, wire::Ipv6 from_ip, std::uint8_t protocol,
                             ByteView payload) {
  ByteVector ip(wire::kIpv6Header);
  ip[0] = std::byte{0x60};
  store_be16(ByteSpan(ip).subspan(4), static_cast<std::uint16_t>(payload.size()));
  ip[6] = std::byte{protocol};
  ip[7] = std::byte{255};
  wire::store_ipv6(ByteSpan(ip).subspan(8), from_ip);
  wire::store_ipv6(ByteSpan(ip).subspan(24), to_ip);
  append(ip, payload);
  return ethernet(to, from, wire::EtherType::ipv6, ip);
}

class TestHost {
 public:
  TestHost(unsigned number, std::uint64_t seed)
      : number_(number),
        random_(seed),
        seal_(host_key(number)),
        switch_(host_address(number), random_, seal_, [] { return kWallNow; }) {}

  wire::SwitchConfig config(const wire::Network& network, const std::map<unsigned, std::uint64_t>& ports) const {
    wire::SwitchConfig out{
        "cloud", host_name(number_), {{network, {}, "ns"}}, host_record(number_), {{"cloud", test_cloud().pem}}};
    for (const auto& [guest, version] : ports) {
      out.networks[0].ports.push_back({instance_id(guest), to_string(guest_mac(guest)), to_string(guest_ip(guest)),
                                       fmt::format("tap{}", guest), version,
                                       version > 1 ? location_claim(number_, guest, version) : std::string()});
    }
    return out;
  }

  // Ports: guest to claimed version. Each gets a device, and so does the gateway.
  Result<> configure(TimePoint now, const wire::Network& network, const std::map<unsigned, std::uint64_t>& ports) {
    const auto done = switch_.configure(now, config(network, ports));
    if (!done) return done;
    for (const auto& [guest, version] : ports) switch_.attach({network.id, instance_id(guest)}, guest + 1);
    switch_.attach({network.id, ""}, kGateway);
    flush(now);
    return {};
  }
  void attach(unsigned guest, sys::PortHandle handle) { switch_.attach({kNetworkId, instance_id(guest)}, handle); }

  void from_guest(TimePoint now, unsigned guest, ByteView frame, const sys::Offload& offload = {}) {
    feed(now, guest + 1, {}, frame, offload);
  }
  void from_device(TimePoint now, sys::PortHandle handle, ByteView frame, const sys::Offload& offload = {}) {
    feed(now, handle, {}, frame, offload);
  }
  void from_gateway(TimePoint now, ByteView frame) { feed(now, kGateway, {}, frame); }
  void from_underlay(TimePoint now, const sys::UdpEndpoint& from, ByteView bytes) { feed(now, 0, from, bytes); }
  // A record in a datagram that opens as one of host `from`.
  void record(TimePoint now, unsigned from, const RecordHeader& header, ByteView payload) {
    ClearSeal theirs(host_key(from));
    BatchMemory memory(1U << 20U);
    Slicer slicer(memory, Outbox::kDatagramBytes);
    static_cast<void>(slicer.append(header, payload));
    slicer.finish();
    const auto bytes = slicer.runs().at(0).bytes();
    static_cast<void>(
        theirs.seal(now, theirs.add(now, {host_key(number_), {}, Profile::native}, host_address(number_)), bytes));
    from_underlay(now, host_address(from), bytes);
  }
  void poll(TimePoint now) {
    switch_.poll(now, out_);
    flush(now);
  }

  Result<> announce(TimePoint now, unsigned guest, std::uint64_t version, std::uint64_t ticket) {
    return switch_.announce(
        now, {kNetworkId, instance_id(guest), version, version > 1 ? location_claim(number_, guest, version) : ""},
        ticket);
  }

  [[nodiscard]] Switch& core() { return switch_; }
  [[nodiscard]] ClearSeal& seal() { return seal_; }
  [[nodiscard]] std::uint64_t drops(Drop why) const { return switch_.counters().drops(why); }
  [[nodiscard]] unsigned number() const { return number_; }

  std::vector<Datagram> sent;  // to the underlay
  std::vector<Delivered> delivered;

 private:
  static constexpr sys::PortHandle kGateway = 1000;  // guests' are below, anybody else's above

  void feed(TimePoint now, sys::PortHandle port, const sys::UdpEndpoint& from, ByteView bytes,
            const sys::Offload& offload = {}) {
    ByteVector copy(bytes.begin(), bytes.end());
    switch_.on_packet(now, {port, from, copy, offload, 0}, out_);
    flush(now);
  }

  void flush(TimePoint now) {
    switch_.seal(now, out_);
    for (const auto& each : out_.packets()) {
      if (each.port != 0) {
        delivered.push_back({each.port == kGateway ? "" : instance_id(each.port - 1),
                             {each.bytes.begin(), each.bytes.end()},
                             each.offload});
        continue;
      }
      const auto one = each.segment == 0 ? each.bytes.size() : each.segment;
      for (auto rest = each.bytes; !rest.empty(); rest = rest.subspan(std::min(one, rest.size()))) {
        const auto datagram = rest.first(std::min(one, rest.size()));
        sent.push_back({host_address(number_), each.peer, {datagram.begin(), datagram.end()}});
      }
    }
    out_.clear();
    switch_.end_batch();
  }

  unsigned number_;
  SeededRandom random_;
  ClearSeal seal_;
  Outbox out_;
  Switch switch_;
};

}  // namespace godwit::overlay::testing
