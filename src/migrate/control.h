// The control channel of one migration: frames both ways over a stream between hosts, and the knowledge that the other
// side is alive.
#pragma once

#include "migrate/channel.h"
#include "sys/task.h"

#include <memory>

namespace godwit::migrate {

inline constexpr Millis kPingEvery{500};
// Silence after which the other side is taken for cut off.
inline constexpr Millis kSilenceLimit{5'000};
inline constexpr Millis kPausedSilenceLimit{2'000};  // while the guest stands still
inline constexpr std::size_t kControlQueue = 256;    // frames to be sent; more are a peer that doesn't read

// A resource. Everything that runs in it ends soon after it is destroyed or closed.
class Control final {
 public:
  // `clock` outlives what runs in here; it is the process's.
  Control(const sys::Executor& executor, sys::Clock& clock, std::unique_ptr<sys::Stream> stream);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  // Queued, and sent in order.
  void send(Frame frame);
  // The next frame that is not of the keepalive. Errors: closed, timed_out (silence), protocol, io: all final.
  [[nodiscard]] sys::Task<Result<Frame>> receive();
  void set_silence_limit(Nanos limit);
  // Half of it is what a frame takes to the other side. Zero before the first answer.
  [[nodiscard]] Nanos round_trip() const;
  void close();

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with its coroutines
};

}  // namespace godwit::migrate
