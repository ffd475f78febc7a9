// A stream between two simulated processes, of one host or of two.
#pragma once

#include "sim/network.h"
#include "sys/stream.h"
#include "sys/task.h"

#include <array>
#include <deque>
#include <memory>
#include <string>

namespace godwit::sim {

class End;

// Shared by its two ends and by what is under way between them. Side 0 dialled.
class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  static std::shared_ptr<Connection> make(World& world, Host& dialer, Host& listener, bool local);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // How many of `bytes` were taken: 0 when the window is full.
  [[nodiscard]] std::size_t send(int side, ByteView bytes);
  void send_end(int side);
  [[nodiscard]] std::size_t take(int side, ByteSpan into);
  [[nodiscard]] bool ended(int side) const { return flows_[side].ended; }
  [[nodiscard]] bool broken(int side) const { return flows_[side].broken; }
  // This side is closed, or was never taken up.
  void leave(int side);
  // `process`: to be woken by what happens; it outlives the end. Null: all are.
  void join(int side, End* end, Process* process) {
    ends_[side] = end;
    processes_[side] = process;
  }

  void on_cut();
  void on_heal();

 private:
  Connection(World& world, Host& dialer, Host& listener, bool local);
  struct Segment {
    TimePoint arrives;
    ByteVector bytes;
    bool end{false};
  };
  // The bytes that side i receives.
  struct Flow {
    std::deque<Segment> flying;
    std::size_t flying_bytes{0};
    ByteVector arrived;
    std::size_t taken{0};
    bool ended{false};    // the last byte has arrived
    bool broken{false};   // reset
    bool refused{false};  // the receiver is gone
    bool stalled{false};  // its head waits for a cut to heal
  };
  void launch(int to, Segment segment);
  void arrive(int to);
  void schedule(int to, TimePoint when);
  void land(int to, Segment& segment);
  void wake(int side);
  void break_later(int side, Nanos after);
  void break_now(int side);
  [[nodiscard]] bool cut() const;
  [[nodiscard]] Host& host_of(int side) const { return *hosts_[side]; }

  World& world_;
  std::array<Host*, 2> hosts_;
  bool local_;
  std::uint64_t id_{0};
  std::uint64_t cut_epoch_{0};
  std::array<Flow, 2> flows_;
  std::array<End*, 2> ends_{nullptr, nullptr};
  std::array<Process*, 2> processes_{nullptr, nullptr};
};

// One side of a connection in the process that has it. Kept alive by pending operations.
class End final {
 public:
  End(const sys::Executor& executor, std::shared_ptr<Connection> connection, int side, Process* process);
  ~End();
  End(const End&) = delete;
  End& operator=(const End&) = delete;
  void close();

  std::shared_ptr<Connection> connection;
  int side;
  bool closed{false};
  bool write_ended{false};
  sys::Signal changed;
};

// `connection`'s side as a stream of the process whose executor this is. `peer` is empty for local sockets; `process`
// where the world shall know whom to wake.
[[nodiscard]] std::unique_ptr<sys::PeerStream> make_stream(const sys::Executor& executor,
                                                           std::shared_ptr<Connection> connection, int side,
                                                           sys::PeerIdentity peer, Process* process = nullptr);

}  // namespace godwit::sim
