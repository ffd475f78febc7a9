// One peer host, and the ways by which it is reached: which of them is used, and what is said to find better ones.
// Pure; part of Paths (overlay/path.h). Rules and reasons: docs/protocols/path.md.
#pragma once

#include "base/time.h"
#include "overlay/path_keepalive.h"
#include "overlay/path_messages.h"
#include "overlay/path_mtu.h"
#include "overlay/session_types.h"
#include "sys/clock.h"

#include <vector>

namespace godwit::overlay {

// To be sealed for the peer, and sent to `to`.
struct PathSend {
  PeerId peer{kNobody};
  sys::UdpEndpoint to;
  ByteVector payload;
};

// What all peers share.
struct PathScope {
  sys::Random& random;
  std::vector<Candidate> own;  // at most kMostCandidates
  std::vector<PathSend> out;
};

enum class WayKind : std::uint8_t {
  relay,       // by a relay's channel: works without proof
  configured,  // said by the peer's record or location
  listed,      // said by itself
  seen,        // it was heard from there
};

// A way to the peer.
struct Way {
  static constexpr std::size_t kRemembered = 8;  // probes under way

  sys::UdpEndpoint at;
  WayKind kind{WayKind::seen};
  bool proven{false};    // it carried an answer, and was not found dead since; a relay's: not found dead
  std::uint8_t rank{0};  // of a relay's: the least is the best
  Nanos round_trip{0};   // smoothed; 0: not measured
  std::optional<CandidateKind> listed{};  // as what the peer said that it is
  TimePoint heard_at{};
  std::uint64_t token{0};  // of its first probe; the lower 3 bits count up
  std::uint8_t probes{0};
  std::array<TimePoint, kRemembered> sent_at{};
  PathMtu mtu;
};

class PathPeer {
 public:
  static constexpr std::size_t kMostWays = 16;
  // A burst: times between its probes, to every way. The first pass a NAT's filter together with the peer's own.
  static constexpr std::array<Millis, 7> kBurst{Millis{0},   Millis{50},  Millis{100}, Millis{200},
                                                Millis{400}, Millis{800}, Millis{1600}};
  // While the way to a relay and back is not measured, which says when the peer has our candidates.
  static constexpr Millis kBeforeMeasured{300};
  static constexpr unsigned kMostBeforeMeasured = 4;
  // Between bursts, while no direct way is known. The second is longer than Linux remembers a stranger who was not
  // answered (30 s): then it is as if nobody had knocked. Doubled each time.
  static constexpr Seconds kFirstPause{5};
  static constexpr Seconds kSecondPause{35};
  static constexpr Seconds kLongestPause{120};
  // Something was sent, nothing heard: then the way is checked, by so many probes, the next after two round trips.
  static constexpr Seconds kSuspectAfter{1};
  static constexpr unsigned kCheckProbes = 4;
  static constexpr Millis kLeastCheckPause{200};
  static constexpr Millis kMostCheckPause{1000};
  // A direct way in use is measured so often, while it carries something.
  static constexpr Seconds kMeasureEvery{10};
  // What was not heard for so long is no way to fall back to.
  static constexpr Seconds kFreshFor{30};
  // A peer that roams more often is followed only when its old place is dead.
  static constexpr Seconds kMovesAreRare{3};
  // Whose turn it isn't waits so much longer.
  static constexpr Seconds kTurnGrace{4};
  // Another way must be faster by so much, and by an eighth.
  static constexpr Millis kHysteresis{2};
  // Nothing but our own words for so long: let it sleep until there is something to say.
  static constexpr Seconds kQuietAfter{600};

  PathPeer(PeerId id, bool leads, bool speaks) : id_(id), leads_(leads), speaks_(speaks), my_turn_(leads) {}

  void add_configured(TimePoint now, const sys::UdpEndpoint& at);
  void set_relays(TimePoint now, std::span<const sys::UdpEndpoint> best_first);
  // This host's own candidates are others than before.
  void on_own_changed(TimePoint now);
  void on_ready(TimePoint now);
  void on_data(TimePoint now, const sys::UdpEndpoint& from, bool newest);
  void on_message(TimePoint now, PathScope& scope, const sys::UdpEndpoint& from, const PathMessage& message);
  void on_sent(TimePoint now);
  void poll(TimePoint now, PathScope& scope);
  [[nodiscard]] std::optional<TimePoint> deadline() const;

  // None where nothing is known.
  [[nodiscard]] const Way* current() const {
    return current_ < 0 ? nullptr : &ways_[static_cast<std::size_t>(current_)];
  }
  [[nodiscard]] std::span<const Way> ways() const { return ways_; }
  // Of what is sent by the current way now.
  [[nodiscard]] std::size_t datagram_bytes() const {
    if (!speaks_) return PathMtu::kSizes[PathMtu::kUsual];
    return current() ? current()->mtu.datagram_bytes() : PathMtu::kSizes.front();
  }
  [[nodiscard]] Nanos keepalive() const { return keepalive_.get(); }
  [[nodiscard]] const sys::UdpEndpoint& seen_as() const { return seen_as_; }
  [[nodiscard]] std::uint64_t changes() const { return changes_; }

 private:
  enum class Reason : std::uint8_t { silence, keepalive, moved };
  struct Check {  // is the current way alive?
    Reason reason{Reason::silence};
    Nanos silence{0};                        // that was before it
    std::optional<sys::UdpEndpoint> before;  // moved: where to go back to
    unsigned left{kCheckProbes};
    TimePoint next{};
  };

  [[nodiscard]] int find(const sys::UdpEndpoint& at) const;
  // Its place; may take that of another way, but never the current one's or the relay's.
  int find_or_add(const sys::UdpEndpoint& at, WayKind kind);
  [[nodiscard]] Way& way(int place) { return ways_[static_cast<std::size_t>(place)]; }
  [[nodiscard]] bool has_direct() const { return current() && current()->kind != WayKind::relay && current()->proven; }
  [[nodiscard]] bool is_fresh(const Way& way, TimePoint now) const;
  [[nodiscard]] bool is_quiet(TimePoint now) const { return now - used_at_ > kQuietAfter; }

  void use(TimePoint now, int place);
  void choose(TimePoint now);
  void choose_without_direct(TimePoint now);
  void erase(int place);
  [[nodiscard]] int best_relay() const;
  void heard(TimePoint now, int place);
  void follow(TimePoint now, int place);
  void lead(TimePoint now, int place);
  void move_to(TimePoint now, int place);
  void wake(TimePoint now);

  void on_probe(TimePoint now, PathScope& scope, const sys::UdpEndpoint& from, const PathMessage& message);
  void on_answer(TimePoint now, const PathMessage& message);
  void on_candidates(TimePoint now, PathScope& scope, const sys::UdpEndpoint& from, const PathMessage& message);
  void answer(PathScope& scope, const sys::UdpEndpoint& to, std::uint64_t token);
  void probe(TimePoint now, PathScope& scope, int place);

  enum class List : std::uint8_t { once_more, anew };  // our candidates
  void begin_burst(TimePoint now, List list);
  void run_burst(TimePoint now, PathScope& scope);
  [[nodiscard]] bool open_burst(TimePoint now, PathScope& scope);
  void send_candidates(PathScope& scope);
  void begin_check(TimePoint now, Reason reason, Nanos silence);
  void run_check(TimePoint now, PathScope& scope);
  void check_passed(TimePoint now);
  void check_failed(TimePoint now);
  void measure(TimePoint now, PathScope& scope);
  void probe_size(TimePoint now, PathScope& scope);
  [[nodiscard]] bool is_used(TimePoint now) const { return now - used_at_ <= kMeasureEvery; }
  [[nodiscard]] std::optional<TimePoint> keepalive_at() const;

  PeerId id_;
  bool leads_;   // of the two it is this host whose choice counts
  bool speaks_;  // the peer answers path messages
  bool ready_{false};
  bool awake_{false};
  std::vector<Way> ways_;
  int current_{-1};
  sys::UdpEndpoint seen_as_;
  std::uint64_t changes_{0};

  std::size_t burst_{kBurst.size()};  // the next of its probes
  TimePoint burst_at_{};
  Nanos pause_{kFirstPause};  // to the next burst
  std::optional<TimePoint> next_burst_at_;

  unsigned unmeasured_{0};             // how often the relay's way was tried, for the next burst, in vain
  std::optional<Nanos> opening_trip_;  // what it took there and back
  bool list_anew_{false};              // the next burst begins with a list that has a new token
  std::uint64_t list_token_{0};        // not 0: the peer hasn't said that it has our candidates
  std::uint64_t last_list_{0};         // of the peer: the token of what it said last

  std::optional<Check> check_;
  std::optional<TimePoint> unheard_since_;  // we said something by the current way
  Nanos silence_{0};                        //   after so much silence
  std::optional<TimePoint> measure_at_;
  TimePoint used_at_{};     // data either way
  TimePoint traffic_at_{};  // anything, by the current way
  bool my_turn_;            // to say something when both have been silent
  TimePoint moved_at_{};    // the peer, and we with it
  KeepaliveInterval keepalive_;
};

}  // namespace godwit::overlay
