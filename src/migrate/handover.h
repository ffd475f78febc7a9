// Who owns a migrating instance: the votes of the source's agent (S), its cloud (C) and the destination's agent (D).
// Two equal votes decide. Pure: no sockets, clocks or files. docs/protocols/migration.md has the rules and why they
// hold.
#pragma once

#include "base/time.h"
#include "wire/migration.h"

#include <boost/describe.hpp>
#include <optional>
#include <vector>

namespace godwit::migrate {

using wire::Decision;

// How long S waits for C's vote before it tells D of its own: C's makes D's start survive the loss of S's host.
inline constexpr Millis kCloudPatience{1'000};
// How long a prepared D waits for S before it asks C, which is the end of the migration where S has not voted yet.
inline constexpr Millis kSilencePatience{5'000};
// The same when the control channel is gone: long enough for a release that is under way from S to C.
inline constexpr Millis kLossPatience{1'000};
// Repetition of what has not been answered.
inline constexpr Millis kFirstRetry{100};
inline constexpr Millis kOpenRetryLimit{5'000};     // while nobody knows who owns it
inline constexpr Millis kSettleRetryLimit{30'000};  // when it is decided, and only the other side's record is left over

// What the cloud answers and keeps, asked for `asked` while its vote is `current`: each votes once.
[[nodiscard]] constexpr Decision vote_of_cloud(Decision current, Decision asked) {
  return current == Decision::none ? asked : current;
}

BOOST_DEFINE_ENUM_CLASS(Vote, none, prepared, released, aborted)

// What one side has promised: the durable part. `prepared` is D's alone; D's `released` means that it owns.
struct Ballot {
  Vote vote{Vote::none};
  Decision decision{Decision::none};  // as far as this side knows; never changes once it is not none
  bool fenced{false};                 // a person took it
  bool carried_out{false};            // run or discard is done: never again, for the instance may have moved on since
  bool settled{false};                // the other side knows the decision: it won't ask again

  bool operator==(const Ballot&) const = default;
};
BOOST_DESCRIBE_STRUCT(Ballot, (), (vote, decision, fenced, carried_out, settled))

// What S and D say to each other about it: each says its vote, again and again, until the other has answered.
BOOST_DEFINE_ENUM_CLASS(Saying,
                        prepared,  // D: loaded and flushed, nothing more is needed from S
                        released,  // S has voted so
                        owned,     // D owns, and runs it or will
                        abort,     // S: aborted is decided. D: it has voted so
                        settled,   // S: knows that D owns. D: has heard what was decided
                        unknown)   // D has no record of this migration

// What the caller does next, in this order. It must be done, or be lost with the whole process.
enum class Act : std::uint8_t {
  ask_cloud = 1,  // S: release. D: resolve. The answer comes back by cloud_voted(); a failure needs no word
  say_prepared,
  say_released,
  say_owned,
  say_abort,
  say_settled,
  run,      // S: resume. D: announce and start. Then call carried_out(), also when QEMU has died meanwhile
  discard,  // kill and delete this side's copy. Then call carried_out()
};

// First `write`, durably; only after it `acts`. Where writing fails: write_failed(), and no act.
struct Step {
  std::optional<Ballot> write;
  std::vector<Act> acts;
};

// Doubles from kFirstRetry up to a limit.
class Retry {
 public:
  void start(TimePoint first);
  void stop() { at_.reset(); }
  [[nodiscard]] bool due(TimePoint now) const { return at_ && *at_ <= now; }
  void again(TimePoint now, Nanos limit);
  [[nodiscard]] const std::optional<TimePoint>& at() const { return at_; }

 private:
  std::optional<TimePoint> at_;
  Nanos wait_{kFirstRetry};
};

// S.
class SourceHandover {
 public:
  // What is lost in a crash.
  struct Known {
    bool drained{false};
    bool peer_prepared{false};
    bool told_peer{false};  // of `released`
    bool done{false};       // carried out, and perhaps not yet written
    bool disputed{false};   // D says that it owns what we have: a fence was wrong, or D is
    Decision cloud{Decision::none};
    bool operator==(const Known&) const = default;
  };

  explicit SourceHandover(Ballot ballot = {}) : ballot_(ballot), before_(ballot) {}

  // The first call after a restart: a source that has not voted votes aborted.
  [[nodiscard]] Step restore(TimePoint now);
  // QEMU says "completed", and the mirror has ended in order.
  [[nodiscard]] Step drained(TimePoint now);
  // Cancelled, failed, or cut off. Too late, and nothing happens, when S has voted.
  [[nodiscard]] Step abort(TimePoint now);
  // A control channel is there (again).
  [[nodiscard]] Step connected(TimePoint now);
  [[nodiscard]] Step heard(TimePoint now, Saying saying);
  [[nodiscard]] Step cloud_voted(TimePoint now, Decision vote);
  [[nodiscard]] Step fenced(TimePoint now, Decision winner);
  [[nodiscard]] Step carried_out(TimePoint now);
  [[nodiscard]] Step write_failed(TimePoint now);
  [[nodiscard]] Step poll(TimePoint now);
  [[nodiscard]] std::optional<TimePoint> next_deadline() const { return retry_.at(); }

  [[nodiscard]] const Ballot& ballot() const { return ballot_; }
  [[nodiscard]] const Known& known() const { return known_; }

 private:
  [[nodiscard]] Step vote_if_complete(TimePoint now);
  [[nodiscard]] Step decide(TimePoint now, Decision decision, bool fenced = false);
  [[nodiscard]] Step settle();
  [[nodiscard]] std::vector<Act> saying() const;
  [[nodiscard]] Step write(const Ballot& next, std::vector<Act> acts);

  Ballot ballot_;
  Ballot before_;  // what the last write replaces
  Known known_;
  Retry retry_;
};

// D.
class DestinationHandover {
 public:
  struct Known {
    bool done{false};      // carried out, and perhaps not yet written
    bool disputed{false};  // S says that it has what we own
    bool operator==(const Known&) const = default;
  };

  explicit DestinationHandover(Ballot ballot = {}) : ballot_(ballot), before_(ballot) {}

  // The first call after a restart: a destination that is not prepared votes aborted.
  [[nodiscard]] Step restore(TimePoint now);
  // Memory loaded, disk flushed.
  [[nodiscard]] Step prepared(TimePoint now);
  // Too late, and nothing happens, when D is prepared: then it needs evidence.
  [[nodiscard]] Step abort(TimePoint now);
  [[nodiscard]] Step connected(TimePoint now);
  [[nodiscard]] Step disconnected(TimePoint now);
  [[nodiscard]] Step heard(TimePoint now, Saying saying);
  [[nodiscard]] Step cloud_voted(TimePoint now, Decision vote);
  [[nodiscard]] Step fenced(TimePoint now, Decision winner);
  [[nodiscard]] Step carried_out(TimePoint now);
  [[nodiscard]] Step write_failed(TimePoint now);
  [[nodiscard]] Step poll(TimePoint now);
  [[nodiscard]] std::optional<TimePoint> next_deadline() const { return retry_.at(); }

  [[nodiscard]] const Ballot& ballot() const { return ballot_; }
  [[nodiscard]] const Known& known() const { return known_; }

 private:
  [[nodiscard]] Step own(Ballot next);
  [[nodiscard]] Step give_up(Ballot next);
  [[nodiscard]] Step settle();
  [[nodiscard]] std::vector<Act> saying() const;
  [[nodiscard]] Step write(const Ballot& next, std::vector<Act> acts);

  Ballot ballot_;
  Ballot before_;  // what the last write replaces
  Known known_;
  Retry retry_;
};

}  // namespace godwit::migrate
