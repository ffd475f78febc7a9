// How soon a thousand hosts know where an instance is now: one WAN's delay and loss between any two, signatures checked
// by each. Sessions stand (ClearSeal); the numbers are printed.
#include "overlay/test_cloud.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

namespace godwit::overlay {
namespace {

using namespace testing;

constexpr unsigned kHosts = 1000;
constexpr unsigned kFrom = 1;  // the host that instance 0 leaves, of cloud a; it goes to the second, of cloud b
constexpr unsigned kTo = 2;
constexpr Millis kOneWay{40};
constexpr std::uint64_t kLostOf1000 = 10;
constexpr TimePoint kStart{Seconds{1000}};

class Spread {
 public:
  explicit Spread(std::uint64_t seed) : random_(seed) {
    for (unsigned each = 1; each <= kHosts; ++each) {
      hosts_.push_back(std::make_unique<Host>(each, seed + each));
      auto& host = *hosts_.back();
      EXPECT_TRUE(host.core.configure(now_, config(each)));
      flush(each);
      due_.emplace(now_, each);
      host.due = now_;
    }
  }

  // How long after the announcement each host believed it, in order.
  std::vector<double> move() {
    run_until(now_ + Seconds{2});  // the distances get known
    const auto began = now_;
    const LocationClaim claim{b_.says(host_name(kTo), 2, crypto::LocationGrant::if_handed_off, mover()),
                              {a_.gives(b_, host_name(kTo), 2, mover())}};
    EXPECT_TRUE(hosts_[kTo - 1]->core.announce(now_, {kNetworkId, mover().instance, 2, claim_to_text(claim)}, 1));
    heard_.clear();
    touch(kTo);
    run_until(now_ + Seconds{5});
    std::vector<double> out;
    for (const auto& [host, at] : heard_) out.push_back(to_ms(at - began));
    std::ranges::sort(out);
    return out;
  }

  // Of the hosts that only hear of the move: a quarter's clocks are so fast that what is signed now is still valid, a
  // quarter's so slow that it is not yet, a quarter's so fast that it has expired. Returns how many can't believe it.
  std::size_t put_clocks_wrong() {
    std::size_t out = 0;
    for (unsigned each = kTo + 1; each <= kHosts; ++each) {
      constexpr std::array kWrong{std::chrono::hours{0}, std::chrono::hours{5}, std::chrono::hours{-5},
                                  crypto::kLocationRecordLife + std::chrono::hours{1}};
      hosts_[each - 1]->wall += kWrong[each % kWrong.size()];
      out += each % kWrong.size() >= 2 ? 1 : 0;
    }
    return out;
  }
  void put_clocks_right() {
    for (auto& each : hosts_) each->wall = kWallNow;
  }
  // How many know by then.
  std::size_t known_after(Seconds time) {
    run_until(now_ + time);
    return heard_.size();
  }

 private:
  struct Host {
    Host(unsigned number, std::uint64_t seed)
        : random(seed), seal(host_key(number)), core(host_address(number), random, seal, [this] { return wall; }) {}
    WallTime wall{kWallNow};
    SeededRandom random;
    ClearSeal seal;
    Switch core;
    TimePoint due{};
  };
  static Claimed mover() { return {kNetworkId, kVni, instance_id(0)}; }

  [[nodiscard]] const TestCloud& cloud_of(unsigned host) const { return host % 2 == 1 ? a_ : b_; }
  const std::string& record_of(unsigned host) {
    auto& record = records_[host];
    const auto& cloud = cloud_of(host);
    if (record.empty()) record = to_base64url(cloud.sign(cloud.host(host_name(host), load_be32(host_key(host)))));
    return record;
  }
  wire::Member member(unsigned number, unsigned host) {
    const auto at = host_address(host);
    return {instance_id(number),
            fmt::format("vm{}", number),
            to_string(guest_mac(number)),
            to_string(guest_ip(number)),
            {},
            {cloud_of(host).name, host_name(host), sys::ip_to_string(at), at.port, 1, record_of(host)}};
  }
  // All members for the host that will announce; for the others the mover, a member at each end, and their own: more
  // would make this a test of memory.
  wire::SwitchConfig config(unsigned number) {
    auto network = network_of({});
    network.cidr = "10.77.0.0/16";
    network.members.push_back(member(0, kFrom));
    for (unsigned each = 1; each <= kHosts; ++each) {
      if (number == kTo || each == kTo || each == number) network.members.push_back(member(each, each));
    }
    wire::SwitchConfig out{cloud_of(number).name, host_name(number), {{network, {}, "ns"}}, record_of(number)};
    out.authorities = {a_.ca(), b_.ca()};
    if (number == kTo) {
      out.networks[0].ports = {{instance_id(0), to_string(guest_mac(0)), to_string(guest_ip(0)), "tap0", 0}};
    }
    return out;
  }

  void touch(unsigned number) {
    auto& host = *hosts_[number - 1];
    due_.erase({host.due, number});
    host.due = now_;
    due_.emplace(now_, number);
  }
  void flush(unsigned number) {
    auto& host = *hosts_[number - 1];
    host.core.seal(now_, out_);
    for (const auto& each : out_.packets()) {
      const auto one = each.segment == 0 ? each.bytes.size() : each.segment;
      for (auto rest = each.bytes; !rest.empty(); rest = rest.subspan(std::min(one, rest.size()))) {
        const auto datagram = rest.first(std::min(one, rest.size()));
        if (random_.below(1000) < kLostOf1000) continue;
        const auto jitter = Nanos(static_cast<std::int64_t>(random_.below(2'000'000)));
        in_flight_.emplace(now_ + kOneWay + jitter,
                           Datagram{host_address(number), each.peer, {datagram.begin(), datagram.end()}});
      }
    }
    out_.clear();
    host.core.end_batch();
    due_.erase({host.due, number});
    host.due = host.core.next_deadline().value_or(TimePoint::max());
    due_.emplace(host.due, number);
    const auto* segment = host.core.segments().find(kVni);
    const auto* moved = segment ? const_cast<Segment*>(segment)->find(instance_id(0)) : nullptr;
    if (moved && moved->location.version == 2) heard_.try_emplace(number, now_);
  }
  void run_until(TimePoint end) {
    for (;;) {
      auto next = due_.begin()->first;
      if (!in_flight_.empty()) next = std::min(next, in_flight_.begin()->first);
      if (next >= end) break;
      now_ = std::max(now_, next);
      if (!in_flight_.empty() && in_flight_.begin()->first <= now_) {
        auto datagram = std::move(in_flight_.extract(in_flight_.begin()).mapped());
        const auto to = load_be16(ByteView(datagram.to.ip).subspan(14));
        hosts_.at(to - 1U)->core.on_packet(now_, {0, datagram.from, datagram.bytes, {}, 0}, out_);
        flush(to);
        continue;
      }
      const auto number = due_.begin()->second;
      hosts_[number - 1]->core.poll(now_, out_);
      flush(number);
    }
    now_ = end;
  }

  SeededRandom random_;
  TestCloud a_{"cloud-a"};
  TestCloud b_{"cloud-b"};
  std::map<unsigned, std::string> records_;
  std::vector<std::unique_ptr<Host>> hosts_;
  Outbox out_;
  std::set<std::pair<TimePoint, unsigned>> due_;
  std::multimap<TimePoint, Datagram> in_flight_;
  std::map<unsigned, TimePoint> heard_;
  TimePoint now_{kStart};
};

TEST(LocationSpread, AThousandHostsKnowWithinHalfASecond) {
  std::vector<double> all;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    auto heard = Spread(seed).move();
    EXPECT_EQ(heard.size(), kHosts) << "seed " << seed;
    all.insert(all.end(), heard.begin(), heard.end());
  }
  std::ranges::sort(all);
  ASSERT_FALSE(all.empty());
  const auto at = [&](double part) {
    return all[static_cast<std::size_t>(part * static_cast<double>(all.size() - 1))];
  };
  fmt::print("known at {} hosts, {} ms one way, 1% lost: median {:.1f} ms, p99 {:.1f} ms, worst {:.1f} ms\n", kHosts,
             kOneWay.count(), at(0.5), at(0.99), all.back());
  EXPECT_LE(at(0.99), 500);
}

TEST(LocationSpread, HostsWhoseClocksJumpByHoursKnowOnceTheClocksAreRight) {
  Spread spread(4);
  const auto unbelieving = spread.put_clocks_wrong();
  EXPECT_EQ(spread.move().size(), kHosts - unbelieving);
  spread.put_clocks_right();
  EXPECT_EQ(spread.known_after(Seconds{5}), kHosts);
}

}  // namespace
}  // namespace godwit::overlay
