// Telling every peer that an instance is here now, and when to stop waiting for them. Pure.
//
// Make before break: the answer comes when all have acknowledged, or after min(1 RTT + 10 ms, 100 ms), RTT being that
// of the farthest; who has not acknowledged by then is told again and again in the background.
#pragma once

#include "overlay/peers.h"

#include <vector>

namespace godwit::overlay {

constexpr Millis kAnnounceSlack{10};
constexpr Millis kAnnounceLimit{100};
constexpr Millis kLeastRepeat{5};
constexpr Millis kUnknownRepeat{20};  // to a peer whose round trip is not known
constexpr Millis kMostRepeat{1000};
constexpr Seconds kAnnounceGiveUp{60};  // then the next configuration or a correction has to do

struct Announced {
  std::uint64_t ticket{0};  // as start() was given it
  Nanos waited{0};
  std::uint32_t acknowledged{0};
  std::uint32_t peers{0};
};

class Announcer {
 public:
  explicit Announcer(sys::Random& random) : random_(random) {}

  // `instance` is here: its location in `segment` says with which version. `told` are the hosts that must know.
  // `ticket` 0: nobody waits for the answer.
  void start(TimePoint now, std::uint64_t ticket, Segment& segment, const std::string& instance,
             const std::vector<PeerId>& told, const Peers& peers);
  // False: nobody waits for it.
  bool on_ack(TimePoint now, PeerId from, std::uint64_t nonce, const Ack& ack);
  void poll(TimePoint now, const Segments& segments, Outbox& out);
  [[nodiscard]] std::optional<TimePoint> next_deadline() const { return next_; }
  // Adds those that are still told something.
  void add_hosts(std::unordered_set<PeerId>& out) const;

  // The answers since the last call.
  [[nodiscard]] std::vector<Announced> take_finished() { return std::exchange(finished_, {}); }

 private:
  struct Told {
    PeerId peer{0};
    std::uint64_t nonce{0};
    TimePoint due{};
    Nanos repeat{};
    bool acknowledged{false};
  };
  struct Job {
    std::uint64_t ticket{0};  // 0: answered
    std::string network;
    std::string instance;
    std::uint64_t version{0};
    TimePoint began{};
    TimePoint limit{};
    std::vector<Told> told;
  };

  void answer(TimePoint now, Job& job);
  // False when there is nothing more to do for it.
  [[nodiscard]] bool advance(TimePoint now, Job& job, const Segments& segments, Outbox& out);

  sys::Random& random_;
  std::vector<Job> jobs_;
  std::vector<Announced> finished_;
  std::optional<TimePoint> next_;
};

}  // namespace godwit::overlay
