// A client of QEMU's monitor protocol over a unix socket.
// Format: QEMU's docs/interop/qmp-spec.txt; commands and events: qapi/*.json of QEMU 7.2.
#pragma once

#include "sys/runtime.h"
#include "wire/json.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace godwit::hypervisor {

struct QmpEvent {
  std::uint64_t sequence{0};  // of this connection, from 1
  std::string name;           // "STOP"
  wire::json::object data;
  std::size_t line_bytes{0};  // as it came
};

// One connection. Any number of commands at a time, answered in QEMU's order. Events are kept (the last 1,024, and 4
// MiB), so that none is lost between a command and the wait for what it causes: take mark() first, then act, then wait.
// One strand. The monitor's other end is trusted no more than a guest: lines are bounded, shapes checked.
class Qmp {
 public:
  // Connects and leaves negotiation mode. Errors: unavailable, timed_out, protocol.
  [[nodiscard]] static sys::Task<Result<std::unique_ptr<Qmp>>> connect(sys::Runtime& runtime, std::string path);
  ~Qmp();

  // Errors: those of QEMU as Errc::conflict ("block-job-cancel: DeviceNotActive: …"), closed when the connection is
  // lost, timed_out (the monitor hangs; a late reply is passed over).
  [[nodiscard]] sys::Task<Result<wire::json::value>> execute(std::string command,
                                                             wire::json::object arguments = wire::json::object(),
                                                             Nanos limit = Seconds{10});

  [[nodiscard]] std::uint64_t mark() const { return next_sequence_; }
  // The first event after `mark` for which `wanted` is true. Errors: closed, timed_out.
  [[nodiscard]] sys::Task<Result<QmpEvent>> wait_event(std::uint64_t mark, std::function<bool(const QmpEvent&)> wanted,
                                                       Nanos limit);
  // Called for each event as it comes; must not wait.
  void on_event(std::function<void(const QmpEvent&)> listener) { listener_ = std::move(listener); }

  [[nodiscard]] bool connected() const { return connected_; }
  // Returns when the connection is lost.
  [[nodiscard]] sys::Task<void> lost();
  // Ends the connection; call before destruction.
  [[nodiscard]] sys::Task<void> close();

 private:
  struct Pending;
  Qmp(sys::Runtime& runtime, std::unique_ptr<sys::Stream> stream);
  [[nodiscard]] sys::Task<void> read();
  [[nodiscard]] sys::Task<Result<>> read_lines();
  [[nodiscard]] Result<> take(std::string_view line);
  void keep(QmpEvent event);
  [[nodiscard]] sys::Task<Result<wire::json::value>> ask(std::string command, wire::json::object arguments);

  sys::Runtime runtime_;  // its own: a connection may end after whoever made it
  std::unique_ptr<sys::Stream> stream_;
  sys::Gate gate_;
  sys::Signal changed_;  // an event, a greeting, a loss
  sys::Signal written_;
  bool writing_{false};
  bool connected_{true};
  bool greeted_{false};
  std::map<std::uint64_t, Pending*> pending_;
  std::uint64_t next_id_{1};
  std::deque<QmpEvent> events_;
  std::size_t events_bytes_{0};
  std::uint64_t next_sequence_{1};
  std::function<void(const QmpEvent&)> listener_;
};

}  // namespace godwit::hypervisor
