// Whom a host of a chain serves, and with what: its successor, which has its whole uplink; or, at the chain's end,
// hosts from which nobody pulls. Pure. docs/protocols/chain.md.
#pragma once

#include "base/time.h"
#include "image/chain_messages.h"
#include "image/piece_set.h"
#include "image/send_rate.h"

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace godwit::image::chain {

inline constexpr std::size_t kMostLeaves = 16;
inline constexpr std::uint64_t kTrial_pieces = 64;  // in all that may be asked for
inline constexpr std::uint64_t kTrialStep = 32;     // at a time
inline constexpr Millis kTrialPause{400};           // at most, of the others
inline constexpr Seconds kTrialLimit{2};            // of a trial's connection
inline constexpr Millis kBetweenTrials{300};
inline constexpr Seconds kQuiet{1};          // a successor that says nothing for so long may lose its place
inline constexpr Seconds kGone{5};           // and after that its connection
inline constexpr Seconds kLastWord{5};       // for one that was moved to hear it
inline constexpr std::uint64_t kInsert{50};  // a place is given back where that costs at most this part of the image

// One strand. `pieces`: of the image.
class Sender {
 public:
  using Link = std::uint64_t;  // a connection; the caller numbers them

  // `rate`: shared with the process's other images.
  Sender(std::uint64_t pieces, std::shared_ptr<SendRate> rate) : pieces_(pieces), rate_(std::move(rate)) {}

  // Nobody shall pull from this host: whoever is served is told so.
  void set_leaf(TimePoint now, bool leaf);

  // Who asks: its name, and its place in the list of hosts. Where the answer is `served`, the link is one of this; its
  // place it takes with its first `have`, for it may have asked others too.
  [[nodiscard]] Answer admit(TimePoint now, Link link, const std::string& name, std::size_t place, const Hello& hello);
  void heard(TimePoint now, Link link);
  void have(TimePoint now, Link link, const Have& have);
  // The list goes first: then it says anew what it has.
  [[nodiscard]] bool wants_list(Link link) const;
  void list_sent(Link link);
  void progress(Link link, std::uint64_t pieces);
  void want(Link link, const Want& want);
  void pace(Link link, std::uint64_t bytes_per_s);  // of what is not wanted; 0: no limit
  void more(Link link, std::uint64_t pieces);
  void stay(TimePoint now, Link link);
  void gone(TimePoint now, Link link);

  // The next piece for a link, which counts as sent. Else, where it is only a matter of time, when to ask again.
  struct Turn {
    std::optional<std::uint64_t> piece;
    std::optional<TimePoint> again;
  };
  [[nodiscard]] Turn next(TimePoint now, Link link, const PieceSet& mine);
  void not_sent(Link link, std::uint64_t piece);  // it is not here after all
  void sent(std::size_t frame_bytes);             // the piece of the last turn; a limit counts what is on the wire
  // Where next() has none: one that comes goes to this link from now on, as far as it is here. It counts as sent.
  [[nodiscard]] bool take_coming(TimePoint now, Link link, std::uint64_t piece);
  // The last word to a link that is not served any more.
  [[nodiscard]] std::optional<Moved> moved(Link link) const;
  // Those that will not leave by themselves.
  [[nodiscard]] std::vector<Link> overdue(TimePoint now) const;

  struct Successor {
    std::string name;
    std::uint64_t pieces{0};
    bool leaf{false};
  };
  [[nodiscard]] std::vector<Successor> successors() const;

 private:
  enum class Role : std::uint8_t { asking = 1, first, leaf, trial, moved };
  struct Served {
    std::string name;
    std::size_t place{0};
    Role role{Role::asking};
    Purpose purpose{Purpose::join};
    bool has_list{false};
    std::uint64_t pieces{0};  // as it says
    PieceSet theirs;
    std::uint64_t cursor{0};
    bool ready{false};  // has said what it has
    TimePoint since{};
    TimePoint heard_at{};
    TimePoint moved_at{};
    Moved last_word;
    std::deque<std::uint64_t> wanted;   // before all others
    std::uint64_t fill_bytes_per_s{0};  // of those; 0: no limit
    TimePoint fill_from{};              // none of them before
    std::uint64_t trial_total{0};       // that were asked for
    std::uint64_t trial_left{0};
    TimePoint trial_until{TimePoint::max()};  // from the first of a step on
  };
  [[nodiscard]] Served* first(TimePoint now);  // that holds its place
  [[nodiscard]] Outcome outcome_of(TimePoint now, std::size_t place, Purpose purpose, std::uint64_t pieces);
  void take_place(TimePoint now, Served& served);
  void move(TimePoint now, Served& served, Moved last_word);
  void move_all(TimePoint now, Role role, const Moved& last_word);
  [[nodiscard]] std::optional<std::uint64_t> next_wanted(Served& asking, const PieceSet& mine) const;
  [[nodiscard]] Turn next_of_trial(TimePoint now, Served& asking, const PieceSet& mine);
  [[nodiscard]] const Served* running_trial(TimePoint now) const;
  [[nodiscard]] bool may_send(TimePoint now, Turn& turn);

  std::uint64_t pieces_;
  std::shared_ptr<SendRate> rate_;
  bool leaf_{false};
  std::map<Link, Served> served_;
  TimePoint trial_again_{};
};

}  // namespace godwit::image::chain
