// Of whom a host of a chain pulls an image: the host before it; when that is lost, the one before that; and where a
// host before it is slow, past it. Pure: it says whom to dial and whom to leave. docs/protocols/chain.md.
#pragma once

#include "base/time.h"
#include "image/chain_sender.h"
#include "image/rate_meter.h"

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace godwit::image::chain {

inline constexpr Millis kNewsEvery{100};          // on every connection, both ways
inline constexpr Millis kSilent{600};             // an upstream of which not a byte came for so long is lost
inline constexpr Millis kPaused{400};             // this process did not run: others may have taken its place
inline constexpr Millis kGrace{1500};             // at the start, for the host before this one to be there
inline constexpr Millis kStartAgain{50};          // it is asked so often
inline constexpr Millis kAgain{200};              // between two rounds of asking
inline constexpr Millis kStagger{350};            // until one further up is asked too, which takes whoever is first
inline constexpr Seconds kStaggerAfar{1};         // the same, for one of another site
inline constexpr Seconds kAnswerLimit{4};         // dialling, greeting and answer
inline constexpr std::size_t kMostAsked{4};       // at a time
inline constexpr int kLeafRounds{5};              // without a place; then it is no leaf any more
inline constexpr Seconds kStarved{5};             // nothing comes, and nobody before this host has more
inline constexpr Millis kOrphaned{1500};          // nothing comes, and the upstream has none itself, or only this host
inline constexpr Seconds kAgainLast{2};           // rounds of asking come more seldom each time, to this
inline constexpr Seconds kAsideLast{16};          // the same, of one of many whose upstream waits as they do
inline constexpr std::size_t kAskedUpwards = 32;  // in one round, and the origin
inline constexpr std::size_t kAskedOfSite = 4;    // of another site, of these: where they are gone it may be
inline constexpr std::size_t kAskedBehind = 8;    // in one round, others in the next: does one have everything?
inline constexpr std::chrono::minutes kBlamed{10};
inline constexpr Seconds kBlamedForList{5};  // which it may have had from another liar

// When an edge of the chain is slow, and how the way past it is tried.
inline constexpr std::uint64_t kGap_pieces = 32;  // what is under way on a fast edge is less,
inline constexpr Millis kGap{200};                // or so much of what comes
inline constexpr Millis kSlowFor{300};            // before the host behind that edge tries
inline constexpr Seconds kOtherSlow{3};           // before the next one does: is that host slow too?
inline constexpr Seconds kOtherTried{24};         // the same, where that host tried in vain
inline constexpr double kFurther = 1.5;           // the far side gets so much more: the edge it is, for sure
inline constexpr double kFaster = 1.75;           // than what comes now; else nobody changes his place
inline constexpr Millis kTrialSpan{100};          // of what comes now: so much is asked for, to begin with, in
inline constexpr std::uint64_t kTrialFewest = 4;  // pieces at least
inline constexpr std::uint64_t kTrialMost = 8;    // at most, and again three times that where these came fast
inline constexpr Millis kTrialWait{1500};         // for a trial's pieces
inline constexpr Millis kTrialAgain{500};         // where another tries
inline constexpr Seconds kTrialFirstPause{4};     // after one that showed nothing, four times as long each time, to
inline constexpr Seconds kTrialLastPause{256};
inline constexpr std::uint64_t kAfar{400};  // a host's trials over the WAN may cost this part of the image

// One of the hosts of an image, in the order of the chain; of one site they stand together.
struct Host {
  std::string name;
  std::string site;

  bool operator==(const Host&) const = default;
};

class Receiver {
 public:
  using Attempt = std::uint64_t;  // a connection that this host dials

  // What to do now. Of an attempt that is closed nothing is heard any more.
  struct Dial {
    Attempt attempt{0};
    std::string name;
    Purpose purpose{Purpose::join};
  };
  struct Ask {
    Attempt attempt{0};
    std::uint16_t pieces{0};
  };
  struct Actions {
    std::vector<Dial> dial;
    std::vector<Ask> more;
    std::vector<Attempt> close;
    std::vector<Attempt> stay;       // say so
    std::vector<Attempt> tell_have;  // say what is here: it came from elsewhere too
  };

  // `own`: a name among `hosts`. `pieces`: of the image.
  Receiver(std::string own, std::uint64_t pieces) : own_(std::move(own)), pieces_(pieces) {}
  void set_hosts(std::vector<Host> hosts);
  [[nodiscard]] std::size_t place_of(const std::string& name) const;  // how many there are: none
  // This host itself asks for little: that it is behind shows nothing of those before it.
  void set_paced(bool paced) { is_paced_ = paced; }

  // `here`: pieces that are here now. To be asked after each event, and at next_deadline().
  [[nodiscard]] Actions poll(TimePoint now, std::uint64_t here);
  [[nodiscard]] TimePoint next_deadline() const { return wake_at_; }

  void answered(TimePoint now, Attempt attempt, const Answer& answer);
  void failed(TimePoint now, Attempt attempt);  // not reached, or its connection has ended
  void heard(TimePoint now, Attempt attempt);   // any byte
  void news(Attempt attempt, News news);
  // A whole piece, of so many bytes on the wire. True: to be polled at once.
  [[nodiscard]] bool got(TimePoint now, Attempt attempt, std::size_t frame_bytes);
  void moved(TimePoint now, Attempt attempt, const Moved& word);
  void blame(TimePoint now, Attempt attempt, Nanos span);  // what it said was false: it is asked nothing for so long

  // Nobody shall pull from this host: it is a leaf, or looks for the chain's end, which must not be behind itself.
  [[nodiscard]] bool serves_nobody() const {
    return leaf_ || (search_ && (search_->kind == Kind::tail || search_->kind == Kind::leaf));
  }
  [[nodiscard]] const std::string& upstream() const { return upstream_ ? upstream_->name : none_; }
  [[nodiscard]] std::vector<Ancestor> ancestors() const;  // the upstream first
  [[nodiscard]] bool tried_in_vain() const { return trial_pause_ > kTrialFirstPause; }
  [[nodiscard]] std::optional<Attempt> upstream_attempt() const {
    return upstream_ ? std::optional(upstream_->attempt) : std::nullopt;
  }
  [[nodiscard]] std::uint64_t bytes_per_s(TimePoint now) const { return meter_.bytes_per_s(now, Seconds{1}); }

 private:
  struct Upstream {
    Attempt attempt{0};
    std::string name;
    TimePoint heard_at{};
    TimePoint got_at{};
    std::optional<News> news;
    std::vector<Ancestor> ancestors;  // as it named them last
  };
  struct Candidate {
    std::string name;
    Purpose purpose{Purpose::join};
    bool whole_only{false};  // of use only if it has everything
  };
  struct Asked {
    Candidate candidate;
    TimePoint until{};
  };
  // start: the host before this one; up: those before it; tail: who serves nobody; leaf: likewise, for a leaf.
  enum class Kind : std::uint8_t { start = 1, up, tail, leaf };
  struct Search {
    Kind kind{Kind::start};
    Purpose purpose{Purpose::join};
    std::deque<Candidate> candidates;
    std::map<Attempt, Asked> asked;
    TimePoint next_at{};
    TimePoint begun{};
    std::set<std::string> tried;  // in this round
    int rounds{0};
    bool aside{false};  // the upstream is kept: only who has more than this host is taken
  };
  struct Trial {
    Attempt attempt{0};
    std::string name;
    TimePoint until{};
    bool served{false};
    double current_bytes_per_s{0};
    bool second{false};        // step
    std::uint64_t asked{0};    // in this step
    std::uint64_t pieces{0};   // that came in it
    TimePoint counted_from{};  // when those that count begin
    std::uint64_t bytes{0};    // of those, on the wire
    TimePoint last_at{};
  };
  struct Edge {
    std::string to;  // the nearer host of the slow edge
    TimePoint since{};
    std::uint64_t past_pieces{0};  // what the further had then
    std::uint64_t here{0};         // and this one
  };

  // ---- searching: chain_search.cc
  void search(TimePoint now, Kind kind, Purpose purpose);
  void end_search(Attempt taken);
  void step_search(TimePoint now);
  void ask_next(TimePoint now);
  void begin_round(TimePoint now);
  void refused(TimePoint now, const Candidate& candidate, const Answer& answer);
  [[nodiscard]] std::deque<Candidate> candidates() const;
  void take_upstream(TimePoint now, Attempt attempt, const std::string& name);
  void lose(TimePoint now, Purpose purpose);
  void finish();
  enum class Hunger : std::uint8_t { none = 1, look, leave };
  [[nodiscard]] Hunger hunger(TimePoint now) const;
  void feed(TimePoint now);

  // ---- slow edges: chain_trial.cc
  struct SlowEdge {
    std::string to;     // the nearer host of it
    Ancestor past;      // the further: whom to try
    std::size_t hosts;  // from the nearer's successor to this one
    bool tried;         // one of them has, in vain
  };
  [[nodiscard]] std::optional<SlowEdge> slow_edge(TimePoint now, std::uint64_t here) const;
  void watch_edges(TimePoint now, std::uint64_t here);
  [[nodiscard]] TimePoint ripe_at(TimePoint now, const SlowEdge& slow, std::uint64_t here) const;
  [[nodiscard]] std::uint64_t may_ask(const std::string& name) const;
  void ask_more(std::uint64_t pieces);
  [[nodiscard]] bool came_fast() const;
  void step_trial(TimePoint now);
  void end_trial(TimePoint now, bool faster);
  void got_of_trial(TimePoint now, std::size_t frame_bytes);

  [[nodiscard]] const Host* find(const std::string& name) const;
  [[nodiscard]] std::string site_of(const std::string& name) const;
  void wake_by(TimePoint when) { wake_at_ = std::min(wake_at_, when); }

  std::string own_;
  std::uint64_t pieces_;
  std::string none_;
  std::vector<Host> hosts_;
  std::unordered_map<std::string, std::size_t> places_;  // by name
  std::size_t place_{0};
  bool leaf_{false};
  bool is_paced_{false};
  std::uint64_t here_{0};  // at the last poll
  bool polled_{false};
  TimePoint polled_at_{};
  std::optional<TimePoint> paused_at_;
  TimePoint wake_at_{};
  Attempt next_attempt_{1};
  Actions pending_;
  std::map<std::string, TimePoint> blamed_;  // until then
  std::string lost_;                         // the last upstream
  std::vector<Ancestor> lost_ancestors_;     // and those before it
  std::optional<Upstream> upstream_;
  std::optional<Search> search_;
  std::optional<Trial> trial_;
  std::optional<Edge> edge_;
  TimePoint trial_after_{};
  Nanos trial_pause_{kTrialFirstPause};
  std::uint64_t afar_pieces_{0};  // that trials have brought over the WAN
  RateMeter meter_;               // of the image
  RateMeter wire_meter_;          // of what brings it: pieces don't get equally small
};

}  // namespace godwit::image::chain
