#include "cloud/lan_holding.h"

#include "wire/host.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <vector>

namespace godwit::cloud {
namespace {

constexpr Seconds kAWhile{3600};

TEST(LanHolding, AHostThatIsAloneNeedsNoLeaseAndKeepsTheLanForGood) {
  const std::vector<LanOffer> alone{{"h1", true}};
  const auto first = next_holding({}, Seconds{0}, alone);
  EXPECT_EQ(first, (LanHolding{"h1", 1, false, false}));
  const std::vector<LanOffer> silent{{"h1", false}};
  EXPECT_EQ(next_holding(first, kAWhile, silent), first);
}

TEST(LanHolding, NobodyIsChosenWhoDoesNotServe) {
  const std::vector<LanOffer> offers{{"h1", false}, {"h2", true}};
  EXPECT_EQ(next_holding({}, kAWhile, offers).host, "h2");
  const std::vector<LanOffer> nobody{{"h1", false}};
  EXPECT_EQ(next_holding({}, kAWhile, nobody), LanHolding{});
}

TEST(LanHolding, ASecondHostMakesALeaseNeededAndGetsTheLanWhenTheFirstIsSilent) {
  const std::vector<LanOffer> two{{"h1", false}, {"h2", true}};
  const LanHolding alone{"h1", 1, false, false};
  const auto leased = next_holding(alone, kAWhile, two);
  EXPECT_EQ(leased, (LanHolding{"h1", 2, true, false}));
  // Until it has said so it may go on without.
  EXPECT_EQ(next_holding(leased, kAWhile, two), leased);
  const auto accepted = accepted_by_host(leased, 2);
  EXPECT_EQ(next_holding(accepted, kLanSilence - Millis{1}, two), accepted);
  EXPECT_EQ(next_holding(accepted, kLanSilence, two), (LanHolding{"h2", 3, true, true}));
}

TEST(LanHolding, AnOldLeaseThatIsAcceptedIsNotTheNewOne) {
  const LanHolding leased{"h1", 4, true, false};
  EXPECT_FALSE(accepted_by_host(leased, 2).accepted);
  EXPECT_FALSE(accepted_by_host(leased, 0).accepted);
}

TEST(LanHolding, ThereIsNobodyToTakeOverFromAHostThatNobodyElseHears) {
  const std::vector<LanOffer> two{{"h1", false}, {"h2", false}};
  const LanHolding held{"h1", 2, true, true};
  EXPECT_EQ(next_holding(held, kAWhile, two), held);
}

TEST(LanHolding, AHostThatDoesNotOfferItAnyMoreIsFollowedWhenItsLeaseHasEnded) {
  const std::vector<LanOffer> other{{"h2", true}};
  for (const bool leased : {false, true}) {
    const LanHolding held{"h1", 2, leased, leased};
    EXPECT_EQ(next_holding(held, kLanSilence - Millis{1}, other), held);
    EXPECT_EQ(next_holding(held, kLanSilence, other), (LanHolding{"h2", 3, false, false}));
    EXPECT_EQ(next_holding(held, kLanSilence, {}).host, "");
  }
}

// ---- a cloud and its hosts, in steps: who asks when, what is lost, who dies, whose clock is wrong

class SimulatedLan {
 public:
  explicit SimulatedLan(std::uint64_t seed) : random_(seed) {
    for (const auto* name : {"h1", "h2", "h3"}) {
      auto& host = hosts_[name];
      host.rate = 0.95 + 0.05 * static_cast<double>(below(3));
    }
    hosts_["h1"].offers = true;
  }

  // Whatever can go wrong does, now and then.
  void live(Seconds span, bool faults) {
    for (const auto end = now_ + span; now_ < end; now_ += kStep) {
      if (faults && below(40) == 0) go_wrong();
      for (auto& [name, host] : hosts_) step(name, host);
      most_ = std::max(most_, std::ranges::count_if(hosts_, [&](const auto& each) { return bridges(each.second); }));
    }
  }
  void mend() {
    cloud_back_ = now_;
    for (auto& [name, host] : hosts_) {
      host.back = host.heals = now_;
      host.offers = true;
    }
  }
  void kill_for_good(const std::string& name) { hosts_[name].back = TimePoint::max(); }
  [[nodiscard]] std::string bridging() const {
    std::string out;
    for (const auto& [name, host] : hosts_) out += bridges(host) ? name : "";
    return out;
  }
  [[nodiscard]] std::ptrdiff_t most() const { return most_; }
  [[nodiscard]] const LanHolding& held() const { return held_; }

 private:
  static constexpr Millis kStep{500};

  struct Ask {
    double asked{0};  // by the host's clock
    TimePoint arrives{};
    TimePoint answered{};
    bool offers{false};
    std::uint64_t lease{0};
    bool heard{false};
  };
  struct SimulatedHost {
    double rate{1};
    bool offers{false};
    TimePoint back{};   // it is dead until then
    TimePoint heals{};  // it does not reach its cloud until then
    std::optional<Ask> ask{};
    // Its switch's configuration, which outlives everything, and its lease, which does not.
    bool uplink{false};
    std::uint64_t needs{0};
    std::uint64_t leased{0};
    double until{0};
  };

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  Millis up_to(Seconds most) { return Millis{static_cast<std::int64_t>(below(1 + Millis(most).count()))}; }
  [[nodiscard]] double local(const SimulatedHost& host) const { return to_s(now_.time_since_epoch()) * host.rate; }
  [[nodiscard]] bool bridges(const SimulatedHost& host) const {
    if (!host.uplink || now_ < host.back) return false;
    return host.needs == 0 || (host.leased == host.needs && local(host) < host.until);
  }

  void go_wrong() {
    auto& host = std::next(hosts_.begin(), static_cast<std::ptrdiff_t>(below(hosts_.size())))->second;
    switch (below(6)) {
      case 0:
        host.back = now_ + up_to(Seconds{200});
        host.leased = 0;
        break;
      case 1: host.heals = now_ + up_to(Seconds{200}); break;
      case 2: cloud_back_ = now_ + up_to(Seconds{200}); break;
      case 3: host.ask.reset(); break;  // its agent is started anew
      case 4: host.leased = 0; break;   // its switch
      default:
        host.offers = !host.offers;
        if (!host.offers) host.uplink = false;  // it is told so before its cloud is
    }
    if (now_ < host.back) host.ask.reset();
  }

  void step(const std::string& name, SimulatedHost& host) {
    if (now_ < host.back) return;
    if (!host.ask) {
      const auto arrives = now_ + up_to(Seconds{5});
      host.ask = Ask{local(host), arrives, arrives + up_to(Seconds{12}), host.offers, host.needs};
    }
    auto& ask = *host.ask;
    const bool connected = now_ >= host.heals && now_ >= cloud_back_;
    if (!ask.heard && now_ >= ask.arrives) {
      if (!connected) return host.ask.reset();
      ask.heard = true;
      hear(name, ask);
    }
    if (now_ < ask.answered) return;
    if (connected) answer(name, host, ask);
    host.ask.reset();
  }

  void hear(const std::string& name, const Ask& ask) {
    last_heard_[name] = now_;
    if (!ask.offers) {
      offering_.erase(name);
      return;
    }
    offering_.insert(name);
    if (held_.host == name) {
      asked_ = now_;
      held_ = accepted_by_host(held_, ask.lease);
    }
    std::vector<LanOffer> offers;
    for (const auto& each : offering_) offers.push_back({each, now_ - last_heard_[each] < Seconds{15}});
    // After a start of the cloud all hosts have asked just now.
    const auto next = next_holding(held_, now_ - std::max(asked_, cloud_back_), offers);
    if (next.host != held_.host) asked_ = now_;
    held_ = next;
  }

  void answer(const std::string& name, SimulatedHost& host, const Ask& ask) {
    const bool is_holder = held_.host == name && offering_.contains(name);
    host.uplink = is_holder && host.offers;
    host.needs = is_holder && held_.leased ? held_.version : 0;
    if (host.needs == 0) return;
    host.leased = held_.version;
    host.until = ask.asked + static_cast<double>(wire::kLanLease_ms) / 1e3;
  }

  std::mt19937_64 random_;
  TimePoint now_{Seconds{1000}};
  TimePoint cloud_back_{};
  TimePoint asked_{};
  LanHolding held_;
  std::set<std::string> offering_;
  std::map<std::string, TimePoint> last_heard_;
  std::map<std::string, SimulatedHost> hosts_;
  std::ptrdiff_t most_{0};
};

TEST(LanHolding, NeverDoTwoHostsJoinANetworkToItsLanWhateverIsLostCutOrRestarted) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SimulatedLan lan(seed);
    lan.live(Seconds{7200}, true);
    ASSERT_LE(lan.most(), 1) << "seed " << seed;
  }
}

TEST(LanHolding, WhenItsHostHasDiedAnotherOneHasTheLanSoon) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SimulatedLan lan(seed);
    lan.live(Seconds{1800}, true);
    lan.mend();
    lan.live(Seconds{200}, false);
    const auto before = lan.bridging();
    ASSERT_FALSE(before.empty()) << "seed " << seed;
    lan.kill_for_good(before);
    lan.live(Seconds{90}, false);
    EXPECT_FALSE(lan.bridging().empty()) << "seed " << seed;
    EXPECT_NE(lan.bridging(), before) << "seed " << seed;
    EXPECT_EQ(lan.most(), 1) << "seed " << seed;
  }
}

}  // namespace
}  // namespace godwit::cloud
