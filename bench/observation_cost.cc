// What observation costs a switch for each frame that enters the overlay: pairs counted, flows sampled
// (docs/ops/observe.md). The same frames of 16 guests to as many at another host go through the real switch and its
// sessions, all but system calls, in turns with Forwarder::count() and without it. Prints lines of "name value":
// medians over the rounds, in nanoseconds of processor time a frame. bench_switch runs it.
#include "base/assert.h"
#include "crypto/host_record.h"
#include "os/clock.h"
#include "overlay/forwarder.h"
#include "overlay/own_sessions.h"
#include "overlay/switch.h"

#include <time.h>

#include <algorithm>
#include <iostream>
#include <stdexcept>

// The linker gives us the calls of Forwarder::count() (--wrap in CMakeLists.txt).
#define GODWIT_COUNT _ZN6godwit7overlay9Forwarder5countERNS0_7SegmentENS_4wire3MacES5_RKNS0_5FrameE
#define GODWIT_JOIN(a, b) a##b
#define GODWIT_NAME(a, b) GODWIT_JOIN(a, b)

namespace {
bool observes = true;
}

extern "C" {
void GODWIT_NAME(__real_, GODWIT_COUNT)(godwit::overlay::Forwarder* self, godwit::overlay::Segment& segment,
                                        godwit::wire::Mac source, godwit::wire::Mac destination,
                                        const godwit::overlay::Frame& frame);
void GODWIT_NAME(__wrap_, GODWIT_COUNT)(godwit::overlay::Forwarder* self, godwit::overlay::Segment& segment,
                                        godwit::wire::Mac source, godwit::wire::Mac destination,
                                        const godwit::overlay::Frame& frame) {
  if (observes) GODWIT_NAME(__real_, GODWIT_COUNT)(self, segment, source, destination, frame);
}
}

namespace godwit::overlay {
namespace {

constexpr unsigned kGuests = 16;  // at each of the two hosts
constexpr std::size_t kBatch = 64;
constexpr std::size_t kBatches = 64;  // of a round
constexpr std::size_t kRounds = 200;  // each way
constexpr WallTime kWallNow{Millis(1'800'000'000'000)};

double cpu_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

std::string instance_id(unsigned number) { return fmt::format("i-{:017x}", number); }
wire::Mac mac_of(unsigned number) { return {0x026700000000ULL | number}; }
wire::Ipv4 ip_of(unsigned number) { return {0x0a4d0000U | (number + 10U)}; }
std::string host_name(unsigned number) { return fmt::format("h{}", number); }
sys::UdpEndpoint address_of(unsigned number) {
  return *sys::parse_udp_endpoint(fmt::format("10.1.0.{}", number + 1), 4790);
}

class Host {
 public:
  Host(unsigned number, sys::Random& random, const crypto::Ciphers& ciphers)
      : number_(number),
        pair_(crypto::KeyPair::generate(random)),
        key_(pair_.public_key()),
        underlay_(
            std::move(pair_), random, [] { return kWallNow; }, ciphers),
        seal_(underlay_),
        core_(address_of(number), random, seal_, [] { return kWallNow; }),
        out_(&seal_) {}

  void configure(TimePoint now, const wire::SwitchConfig& config) {
    if (const auto done = core_.configure(now, config); !done) throw std::runtime_error(done.error().message);
    for (unsigned i = 0; i < kGuests; ++i) {
      core_.attach({config.networks[0].network.id, config.networks[0].ports[i].instance}, i + 1);
    }
  }
  void from_guest(TimePoint now, unsigned guest, ByteSpan frame, const sys::Offload& offload = {}) {
    core_.on_packet(now, {guest + 1, {}, frame, offload, 0}, out_);
  }
  // What it has to say, to the other one; how much of that came out at the other one's guests is returned.
  std::size_t flush_to(TimePoint now, Host& other) {
    core_.poll(now, out_);
    core_.seal(now, out_);
    for (const auto& each : out_.packets()) {
      if (each.port != 0) continue;
      ByteVector bytes(each.bytes.begin(), each.bytes.end());
      other.core_.on_packet(now, {0, address_of(number_), bytes, {}, each.segment}, other.out_);
    }
    clear();
    return static_cast<std::size_t>(
        std::ranges::count_if(other.out_.packets(), [](const auto& each) { return each.port != 0; }));
  }
  // The end of a batch, sent nowhere.
  void seal(TimePoint now) {
    core_.seal(now, out_);
    GODWIT_ASSERT(!out_.packets().empty());
    clear();
  }
  void clear() {
    out_.clear();
    core_.end_batch();
  }
  [[nodiscard]] const crypto::PublicKey& key() const { return key_; }
  [[nodiscard]] const Counters& counters() const { return core_.counters(); }

 private:
  unsigned number_;
  crypto::KeyPair pair_;
  crypto::PublicKey key_;
  Underlay underlay_;
  UnderlaySeal seal_;
  Switch core_;
  Outbox out_;
};

// Guests 0 to 15 are at host 0, the others at host 1.
wire::SwitchConfig config_of(unsigned host, const std::string& pem, const std::vector<std::string>& records) {
  wire::SwitchConfig out;
  out.cloud = "cloud";
  out.host = host_name(host);
  out.record = records[host];
  out.authorities = {{"cloud", pem}};
  auto& segment = out.networks.emplace_back();
  segment.gateway_namespace = "gateway";
  auto& network = segment.network;
  network.id = "net-00000000000000001";
  network.tenant = "tenant";
  network.name = "demo";
  network.vni = 7;
  network.cidr = "10.77.0.0/24";
  network.cidr6 = wire::derive_cidr6(network.id);
  network.gateway = "10.77.0.1";
  network.domain = "demo.internal";
  network.key = std::string(64, 'a');
  for (unsigned i = 0; i < 2 * kGuests; ++i) {
    const auto at = i / kGuests;
    const auto address = address_of(at);
    network.members.push_back({instance_id(i),
                               fmt::format("vm{}", i),
                               to_string(mac_of(i)),
                               to_string(ip_of(i)),
                               {},
                               {"cloud", host_name(at), sys::ip_to_string(address), address.port, 1, records[at]}});
    if (at == host)
      segment.ports.push_back({instance_id(i), to_string(mac_of(i)), to_string(ip_of(i)), fmt::format("tap{}", i), 1});
  }
  return out;
}

// A UDP datagram of one guest to another: `size` bytes on a wire.
ByteVector frame_of(unsigned from, unsigned to, std::size_t size) {
  ByteVector out;
  for (const auto mac : {mac_of(to), mac_of(from)}) {
    append_be16(out, static_cast<std::uint16_t>(mac.bits >> 32U));
    append_be32(out, static_cast<std::uint32_t>(mac.bits));
  }
  append_be16(out, static_cast<std::uint16_t>(wire::EtherType::ipv4));
  const auto header = out.size();
  out.resize(size);
  const auto ip = ByteSpan(out).subspan(header);
  ip[0] = std::byte{0x45};
  ip[9] = std::byte{17};
  store_be16(ip.subspan(2), static_cast<std::uint16_t>(ip.size()));
  store_be32(ip.subspan(12), ip_of(from).bits);
  store_be32(ip.subspan(16), ip_of(to).bits);
  store_be16(ip.subspan(20), static_cast<std::uint16_t>(1000 + from));
  store_be16(ip.subspan(22), 9);
  store_be16(ip.subspan(24), static_cast<std::uint16_t>(ip.size() - 20));
  return out;
}

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

// `pairs`: so many of the guests' pairs speak, one frame each in turn.
void measure(std::string_view name, TimePoint& now, Host& host, std::size_t size, unsigned pairs) {
  std::vector<ByteVector> frames;
  for (unsigned i = 0; i < pairs; ++i) frames.push_back(frame_of(i % kGuests, kGuests + i / kGuests % kGuests, size));
  const auto round = [&] {
    std::size_t next = 0;
    const auto began = cpu_ns();
    for (std::size_t batch = 0; batch < kBatches; ++batch) {
      for (std::size_t i = 0; i < kBatch; ++i, ++next) {
        host.from_guest(now, static_cast<unsigned>(next % pairs) % kGuests, frames[next % pairs]);
      }
      host.seal(now);
    }
    return (cpu_ns() - began) / (kBatches * kBatch);
  };
  std::vector<double> with;
  std::vector<double> without;
  for (std::size_t i = 0; i < kRounds; ++i) {
    for (const bool on : {i % 2 == 0, i % 2 != 0}) {
      observes = on;
      (on ? with : without).push_back(round());
    }
  }
  std::vector<double> added;
  for (std::size_t i = 0; i < kRounds; ++i) added.push_back(with[i] - without[i]);
  observes = true;
  std::cout << name << "_with " << median(with) << "\n"
            << name << "_without " << median(without) << "\n"
            << name << "_added " << median(added) << "\n";
}

int run() {
  os::SystemRandom random;  // as the switch has it
  const auto ciphers = crypto::Ciphers::fastest();
  std::vector<std::unique_ptr<Host>> hosts;
  for (unsigned i = 0; i < 2; ++i) hosts.push_back(std::make_unique<Host>(i, random, ciphers));
  const auto key = crypto::Key::generate().value();
  const crypto::Validity validity{kWallNow - std::chrono::hours(1), kWallNow + std::chrono::hours(24)};
  const auto pem = crypto::make_authority(key, "cloud", validity, random).value();
  std::vector<std::string> records;
  for (unsigned i = 0; i < 2; ++i) {
    const crypto::HostRecord record{"cloud", host_name(i), hosts[i]->key(), crypto::SessionProfile::native, validity};
    records.push_back(to_base64url(crypto::sign_host_record(record, key).value()));
  }
  TimePoint now{Seconds{1000}};
  for (unsigned i = 0; i < 2; ++i) hosts[i]->configure(now, config_of(i, pem, records));
  // Until a guest is heard at the other host: there is a session, and it works.
  auto first = frame_of(0, kGuests, 64);
  for (std::size_t arrived = 0; arrived == 0; now += Millis{10}) {
    GODWIT_ASSERT(now < TimePoint{Seconds{1010}});
    hosts[0]->from_guest(now, 0, first);
    arrived = hosts[0]->flush_to(now, *hosts[1]);
    static_cast<void>(hosts[1]->flush_to(now, *hosts[0]));
  }
  measure("small_1", now, *hosts[0], 64, 1);
  measure("small_256", now, *hosts[0], 64, kGuests * kGuests);
  measure("full_256", now, *hosts[0], 1514, kGuests * kGuests);
  for (std::size_t i = 0; i < kDropReasons; ++i) GODWIT_ASSERT(hosts[0]->counters().drops(static_cast<Drop>(i)) == 0);
  return 0;
}

}  // namespace
}  // namespace godwit::overlay

int main() { return godwit::overlay::run(); }
