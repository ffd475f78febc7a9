// A byte stream whose one end moves a thousand times over two clouds, each time with a hand-off of the cloud that it
// leaves: it survives each, and what it stands still for above the pause of its vCPUs is printed.
#include "overlay/test_cloud.h"

#include <gtest/gtest.h>

#include <set>

namespace godwit::overlay {
namespace {

using namespace testing;

constexpr unsigned kHosts = 5;   // those with odd numbers are cloud a's
constexpr unsigned kAtPeer = 5;  // where the other end stays
constexpr unsigned kMover = 0;
constexpr unsigned kPeer = 1;
constexpr Millis kOneWay{20};
constexpr Millis kCopying{50};  // of the pause: what there is before the location is announced
constexpr Millis kWriteEvery{5};
constexpr unsigned kWindow = 32;  // segments
constexpr Millis kFirstTimeout{200};
constexpr TimePoint kStart{Seconds{1000}};

// One end sends numbered segments, the other acknowledges the next that it wants: TCP's go-back-N, timeouts that
// double, and fast retransmission.
struct Sender {
  std::uint32_t acked{0};
  std::uint32_t next{0};
  std::uint32_t written{0};
  unsigned repeated_acks{0};
  Millis timeout{kFirstTimeout};
  TimePoint expires{TimePoint::max()};
  std::uint64_t timeouts{0};
};

class Stream {
 public:
  Stream(std::uint64_t seed, std::uint64_t lost_of_1000) : random_(seed), lost_of_1000_(lost_of_1000) {
    for (unsigned each = 1; each <= kHosts; ++each) {
      hosts_.emplace(each, std::make_unique<TestHost>(each, seed + each));
      EXPECT_TRUE(host(each).core().configure(now_, config(each)));
      for (const auto guest : {kMover, kPeer}) host(each).attach(guest, guest + 1);
    }
    run_for(Seconds{1});
  }

  void move() {
    const auto from = runs_on_;
    const auto to = 1 + (from + static_cast<unsigned>(random_.below(kHosts - 2))) % (kHosts - 1);
    const auto paused_at = now_;
    ASSERT_TRUE(host(from).core().hold(now_, {kNetworkId, mover().instance}));
    runs_on_ = 0;
    run_for(kCopying);
    ++version_;
    hand_offs_.push_back(cloud_of(from).gives(cloud_of(to), host_name(to), version_, mover()));
    if (hand_offs_.size() > kMostHandOffs) hand_offs_.erase(hand_offs_.begin());
    const LocationClaim claim{cloud_of(to).says(host_name(to), version_, crypto::LocationGrant::if_handed_off, mover()),
                              hand_offs_};
    ASSERT_TRUE(
        host(to).core().announce(now_, {kNetworkId, mover().instance, version_, claim_to_text(claim)}, version_));
    arrives_at_ = to;
    while (runs_on_ == 0) run_for(Millis{1});
    const auto resumed_at = now_;
    progressed_.reset();
    for (const auto& each : std::exchange(early_, {})) receive(each);
    while (!progressed_ && now_ < resumed_at + Seconds{60}) run_for(Millis{1});
    ASSERT_TRUE(progressed_) << "the stream did not survive move " << version_ - 1;
    stalls_.push_back(to_ms(*progressed_ - resumed_at));
    pauses_.push_back(to_ms(resumed_at - paused_at));
    run_for(Millis{static_cast<std::int64_t>(200 + random_.below(400))});
  }

  // Everything that was written has come, in order.
  void finish() {
    writing_ = false;
    const auto limit = now_ + Seconds{120};
    while (sender_.acked < sender_.written && now_ < limit) run_for(Millis{10});
    EXPECT_EQ(expected_, sender_.written);
  }
  [[nodiscard]] const std::vector<double>& stalls() const { return stalls_; }
  [[nodiscard]] const std::vector<double>& pauses() const { return pauses_; }
  [[nodiscard]] std::uint64_t timeouts() const { return sender_.timeouts; }
  [[nodiscard]] std::uint32_t segments() const { return sender_.written; }
  [[nodiscard]] std::uint64_t lost_at_ends() const { return lost_at_ends_; }
  std::uint64_t unproven() {
    std::uint64_t sum = 0;
    for (unsigned each = 1; each <= kHosts; ++each) sum += host(each).drops(Drop::unproven);
    return sum;
  }

 private:
  static Claimed mover() { return {kNetworkId, kVni, instance_id(kMover)}; }
  TestHost& host(unsigned number) { return *hosts_.at(number); }
  [[nodiscard]] const TestCloud& cloud_of(unsigned number) const { return number % 2 == 1 ? a_ : b_; }

  wire::SwitchConfig config(unsigned number) {
    auto network = network_of({1, kAtPeer, 1, 2, 3, 4});
    for (unsigned member = 0; member < network.members.size(); ++member) {
      auto& location = network.members[member].location;
      const auto at = static_cast<unsigned>(std::stoul(location.host.substr(1)));
      location.cloud = cloud_of(at).name;
      auto& record = records_[at];
      if (record.empty())
        record = to_base64url(cloud_of(at).sign(cloud_of(at).host(host_name(at), load_be32(host_key(at)))));
      location.record = record;
    }
    wire::SwitchConfig out{cloud_of(number).name, host_name(number), {{network, {}, "ns"}}, records_[number]};
    out.authorities = {a_.ca(), b_.ca()};
    const auto port = [&](unsigned guest, std::uint64_t version) {
      out.networks[0].ports.push_back({instance_id(guest), to_string(guest_mac(guest)), to_string(guest_ip(guest)),
                                       fmt::format("tap{}", guest), version});
    };
    port(kMover, number == 1 ? 1 : 0);
    if (number == kAtPeer) port(kPeer, 1);
    return out;
  }

  // ---- the stream

  void write() {
    if (writing_) ++sender_.written;
    send_new();
  }
  void send_new() {
    while (sender_.next < std::min(sender_.written, sender_.acked + kWindow)) send(sender_.next++);
  }
  void send(std::uint32_t segment) {
    if (sender_.expires == TimePoint::max()) sender_.expires = now_ + sender_.timeout;
    host(kAtPeer).from_guest(now_, kPeer, guest_frame(kPeer, kMover, fmt::format("{:08}", segment)));
  }
  void send_again() {
    sender_.expires = now_ + sender_.timeout;
    for (auto each = sender_.acked; each < sender_.next; ++each) send(each);
  }
  void on_ack(std::uint32_t wanted) {
    if (wanted < sender_.acked) return;
    if (wanted == sender_.acked) {
      if (++sender_.repeated_acks == 3) send_again();
      return;
    }
    sender_.acked = wanted;
    sender_.repeated_acks = 0;
    sender_.timeout = kFirstTimeout;
    sender_.expires = wanted == sender_.next ? TimePoint::max() : now_ + sender_.timeout;
    send_new();
  }
  void receive(std::uint32_t segment) {
    if (segment >= expected_) waiting_.insert(segment);
    while (waiting_.erase(expected_) > 0) {
      ++expected_;
      progressed_ = progressed_.value_or(now_);
    }
    host(runs_on_).from_guest(now_, kMover, guest_frame(kMover, kPeer, fmt::format("{:08}", expected_)));
  }

  // ---- the world

  void collect() {
    for (auto& [number, each] : hosts_) {
      for (auto& datagram : std::exchange(each->sent, {})) {
        if (random_.below(1000) < lost_of_1000_) continue;
        in_flight_.emplace(now_ + kOneWay + Nanos(static_cast<std::int64_t>(random_.below(1'000'000))),
                           std::move(datagram));
      }
      for (const auto& done : each->core().take_announced()) {
        if (done.ticket == version_) runs_on_ = arrives_at_;
      }
      for (const auto& got : std::exchange(each->delivered, {})) {
        const auto text = std::string(as_text(ByteView(got.frame).last(8)));
        const auto value = static_cast<std::uint32_t>(std::stoul(text));
        if (got.instance == instance_id(kPeer)) {
          on_ack(value);
        } else if (number == runs_on_) {
          receive(value);
        } else if (runs_on_ == 0 && number == arrives_at_) {
          early_.push_back(value);  // in the queue of its TAP
        } else {
          ++lost_at_ends_;
        }
      }
    }
  }
  void run_for(Nanos span) {
    const auto end = now_ + span;
    for (;;) {
      auto next = std::min({end, next_write_, sender_.expires});
      if (!in_flight_.empty()) next = std::min(next, in_flight_.begin()->first);
      for (const auto& [number, each] : hosts_) next = std::min(next, each->core().next_deadline().value_or(end));
      now_ = std::max(now_, next);
      while (!in_flight_.empty() && in_flight_.begin()->first <= now_) {
        const auto datagram = in_flight_.extract(in_flight_.begin()).mapped();
        host(load_be16(ByteView(datagram.to.ip).subspan(14))).from_underlay(now_, datagram.from, datagram.bytes);
        collect();
      }
      for (auto& [number, each] : hosts_) each->poll(now_);
      if (now_ >= next_write_) {
        next_write_ = now_ + kWriteEvery;
        write();
      }
      if (now_ >= sender_.expires) {
        ++sender_.timeouts;
        sender_.timeout = std::min<Millis>(sender_.timeout * 2, Seconds{60});
        send_again();
      }
      collect();
      if (now_ >= end) return;
    }
  }

  SeededRandom random_;
  std::uint64_t lost_of_1000_;
  TestCloud a_{"cloud-a"};
  TestCloud b_{"cloud-b"};
  std::map<unsigned, std::string> records_;
  std::map<unsigned, std::unique_ptr<TestHost>> hosts_;
  std::multimap<TimePoint, Datagram> in_flight_;
  TimePoint now_{kStart};
  unsigned runs_on_{1};
  unsigned arrives_at_{0};
  std::uint64_t version_{1};
  std::vector<ByteVector> hand_offs_;
  Sender sender_;
  bool writing_{true};
  TimePoint next_write_{kStart + Seconds{1}};
  std::uint32_t expected_{0};
  std::set<std::uint32_t> waiting_;
  std::vector<std::uint32_t> early_;
  std::optional<TimePoint> progressed_;
  std::vector<double> stalls_;
  std::vector<double> pauses_;
  std::uint64_t lost_at_ends_{0};
};

double part_of(std::vector<double> values, double part) {
  std::ranges::sort(values);
  return values.at(static_cast<std::size_t>(part * static_cast<double>(values.size() - 1)));
}

void print(const char* what, Stream& stream) {
  fmt::print(
      "{}: {} moves, pause median {:.0f} ms; above it median {:.1f} ms, p99 {:.1f} ms, worst {:.1f} ms; {} segments, "
      "{} timeouts, {} lost where it was or will be\n",
      what, stream.stalls().size(), part_of(stream.pauses(), 0.5), part_of(stream.stalls(), 0.5),
      part_of(stream.stalls(), 0.99), part_of(stream.stalls(), 1), stream.segments(), stream.timeouts(),
      stream.lost_at_ends());
}

TEST(StreamMobility, AThousandMovesOverTwoCloudsCostAStreamNothingButItsPauses) {
  Stream stream(1, 0);
  for (int move = 0; move < 1000 && !::testing::Test::HasFatalFailure(); ++move) stream.move();
  stream.finish();
  print("no loss", stream);
  EXPECT_EQ(stream.lost_at_ends(), 0U);
  EXPECT_EQ(stream.timeouts(), 0U);
  EXPECT_EQ(stream.unproven(), 0U);
  EXPECT_LE(part_of(stream.stalls(), 0.99), 2 * to_ms(kOneWay) + 10);
}

TEST(StreamMobility, AStreamSurvivesAThousandMovesOnALossyNetwork) {
  Stream stream(2, 10);
  for (int move = 0; move < 1000 && !::testing::Test::HasFatalFailure(); ++move) stream.move();
  stream.finish();
  print("1% lost", stream);
  EXPECT_EQ(stream.unproven(), 0U);
}

}  // namespace
}  // namespace godwit::overlay
