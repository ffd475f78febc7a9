// A world of S, C and D for tests of the handover: every message that was ever sent may arrive at any time, any number
// of times or never; every timer may fire at any time; each agent may crash between any two things that it does. So one
// walk over its states covers every loss, delay, reordering, duplication, crash and restart.
#pragma once

#include "migrate/handover.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace godwit::migrate::model {

enum class Qemu : std::uint8_t { running, paused, resumed, completed, incoming, loaded, dead, deleted };

// A set of messages that were sent at some time.
template <class E>
class Sent {
 public:
  void add(E each) { bits_ |= bit(each); }
  [[nodiscard]] bool has(E each) const { return (bits_ & bit(each)) != 0; }
  [[nodiscard]] unsigned bits() const { return bits_; }
  void clear() { bits_ = 0; }

 private:
  static unsigned bit(E each) { return 1U << static_cast<unsigned>(each); }
  unsigned bits_{0};
};

template <class Machine>
struct Agent {
  std::optional<Machine> machine;  // while its process lives
  std::optional<Ballot> disk{Ballot{}};
  Qemu qemu;
  Sent<Saying> inbox;
  Sent<Decision> cloud_answers;
  bool asked_cloud{false};
  bool acted{false};                // run or discard was done, carried_out() not yet called
  bool destroyed{false};            // the whole host, for ever
  Decision forgot{Decision::none};  // what the record said that was dropped
};

struct World {
  Agent<SourceHandover> s{SourceHandover{}, Ballot{}, Qemu::running, {}, {}};
  Agent<DestinationHandover> d{DestinationHandover{}, Ballot{}, Qemu::incoming, {}, {}};
  Decision cloud{Decision::none};
  bool cloud_up{true};
  TimePoint now{};

  // May this side's copy run, now or after a restart of its agent?
  [[nodiscard]] bool s_may_run() const;
  [[nodiscard]] bool d_may_run() const;
  [[nodiscard]] std::string describe() const;
  [[nodiscard]] std::array<std::uint64_t, 2> key() const;
};

// How far a step gets: everything; or the process crashes before the write, or after it and `acts` of its acts; or
// the disk refuses the write.
struct Fate {
  enum Kind : std::uint8_t { whole, crash_before_write, crash_after, disk_full } kind{whole};
  std::uint8_t acts{0};
};

// When healing, messages come first, then timers; `chance` is what nobody waits for.
enum class Sort : std::uint8_t { message, timer, chance };

// One thing that may happen. `name` is for traces.
struct Event {
  Sort sort;
  const char* name;
  bool (*possible)(const World&);
  // The step that one of the machines answers with; carried out by happen().
  Step (*step)(World&);
  bool of_source;
};

[[nodiscard]] const std::vector<Event>& events();
// The events that stand for the loss of a whole host, and for the person who knows it.
[[nodiscard]] const std::vector<Event>& disasters();

// Carries `event` out, as far as `fate` lets it. False when `fate` cannot happen to it (it has no such step).
bool happen(World& world, const Event& event, Fate fate);

// Both agents restarted where they are not destroyed, a source that has not voted cancelled, everything heard, every
// timer fired, until nothing changes.
void heal(World& world);

}  // namespace godwit::migrate::model
