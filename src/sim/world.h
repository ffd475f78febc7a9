// A whole installation in one thread and one virtual time: hosts, their processes, and the networks between them.
// Everything of the product that is written on the seams of sys runs here unchanged, and the same seed gives the same
// run, to the last byte of the trace.
//
// Each process has an executor of its own. Processes are polled until none has anything to do, always in the order of
// their birth; then time jumps to the next deadline.
#pragma once

#include "base/bytes.h"
#include "base/log.h"
#include "base/time.h"

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace godwit::sim {

class Host;
class Process;
class Network;

class World final {
 public:
  explicit World(std::uint64_t seed);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // `site`: hosts of one site are joined by a LAN, sites by the WAN; see network().
  Host& add_host(const std::string& name, const std::string& site, const std::string& ip);
  [[nodiscard]] Host& host(const std::string& name);
  [[nodiscard]] Network& network() { return *network_; }

  [[nodiscard]] TimePoint now() const { return now_; }
  [[nodiscard]] std::uint64_t draw() { return random_(); }
  [[nodiscard]] std::uint64_t draw_below(std::uint64_t limit) { return random_() % limit; }

  // Runs until `done` or for `limit` of virtual time; what `done` says in the end. Asked after each jump.
  bool run_until(const std::function<bool()>& done, Nanos limit);
  void run_for(Nanos span);

  // `what` happens at `when`, outside of every process. Those of one time happen in the order in which they were asked.
  void at(TimePoint when, std::function<void()> what);

  // For worlds of a thousand hosts: from now on a process is polled only when a timer, a peer's stream or something on
  // the agenda has woken it. Right where processes use nothing else, and `done` touches none.
  void poll_only_woken() { only_woken_ = true; }

  // One line of the trace, with the time. Log lines of the processes go here too, from `level` up.
  void trace(std::string line);
  void keep_trace(bool keep, LogLevel level = LogLevel::debug);
  [[nodiscard]] LogLevel trace_level() const { return trace_level_; }
  [[nodiscard]] const std::vector<std::string>& trace() const { return trace_; }
  [[nodiscard]] std::uint64_t trace_hash() const { return trace_hash_; }  // of all lines, kept or not

 private:
  friend class Process;
  friend class Host;
  friend class Connection;
  struct Event {
    std::function<void()> what;
    bool wakes_itself{false};  // it touches no process but by Process::touch()
  };
  void at_quietly(TimePoint when, std::function<void()> what);
  [[nodiscard]] bool poll_once();
  [[nodiscard]] bool poll_woken();
  void touch_all();
  void poll_dry();
  void bury_doomed();
  [[nodiscard]] TimePoint next_deadline() const;
  void jump(TimePoint to);

  std::mt19937_64 random_;
  TimePoint now_{};
  std::multimap<TimePoint, Event> agenda_;
  std::vector<std::string> trace_;
  std::uint64_t trace_hash_;
  bool keep_trace_{false};
  LogLevel trace_level_{LogLevel::info};
  std::unique_ptr<Network> network_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::map<std::string, Host*> by_name_;
  std::vector<Process*> processes_;  // living, in the order of their birth
  std::vector<Process*> doomed_;     // killed, to be destroyed as soon as none runs
  bool only_woken_{false};
  std::uint64_t births_{0};
  std::vector<Process*> woken_;
  std::map<std::pair<TimePoint, std::uint64_t>, Process*> deadlines_;  // where only the woken are polled; and by birth
};

}  // namespace godwit::sim
