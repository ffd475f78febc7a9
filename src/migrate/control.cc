#include "migrate/control.h"

#include <algorithm>
#include <deque>

namespace godwit::migrate {

struct Control::State {
  State(const sys::Executor& executor, sys::Clock& time, std::unique_ptr<sys::Stream> connected)
      : clock(time),
        stream(std::move(connected)),
        heard_at(time.now()),
        to_send(executor),
        limit_changed(executor),
        received(executor),
        gate(executor) {}

  void end(Error why) {
    if (!error) error = std::move(why);
    stream->close();
    received.notify();
    to_send.notify();
    limit_changed.notify();
  }

  sys::Clock& clock;
  std::unique_ptr<sys::Stream> stream;
  std::optional<Error> error;  // set: it is over
  TimePoint heard_at;
  Nanos silence_limit{kSilenceLimit};
  Nanos round_trip{0};
  std::uint64_t ping{0};
  TimePoint ping_at{};
  std::deque<ByteVector> outgoing;
  std::deque<Frame> incoming;
  sys::Signal to_send;
  sys::Signal limit_changed;
  sys::Signal received;  // or over
  sys::Gate gate;
};

namespace {

template <class State>
void queue(State& at, const Frame& frame) {
  if (at.error) return;
  if (at.outgoing.size() >= kControlQueue) {
    at.end(Error{Errc::exhausted, "control channel: the other side reads nothing"});
    return;
  }
  at.outgoing.push_back(pack(frame));
  at.to_send.notify();
}

template <class State>
sys::Task<void> write_frames(std::shared_ptr<State> at) {
  while (!at->error) {
    if (at->outgoing.empty()) {
      co_await at->to_send.wait();
      continue;
    }
    const ByteVector bytes = std::move(at->outgoing.front());
    at->outgoing.pop_front();
    const auto written = co_await at->stream->write(bytes);
    if (!written) at->end(written.error());
  }
}

template <class State>
void take(State& at, Frame frame) {
  if (frame.type == FrameType::ping) {
    Frame answer;
    answer.type = FrameType::pong;
    answer.sequence = frame.sequence;
    queue(at, answer);
  } else if (frame.type == FrameType::pong) {
    if (frame.sequence == at.ping) at.round_trip = at.clock.now() - at.ping_at;
  } else if (at.incoming.size() >= kControlQueue) {
    at.end(Error{Errc::protocol, "control channel: a flood of frames"});
  } else {
    at.incoming.push_back(std::move(frame));
    at.received.notify();
  }
}

template <class State>
sys::Task<void> read_frames(std::shared_ptr<State> at) {
  while (!at->error) {
    const auto json = co_await read_packed(*at->stream, kFrameLimit_bytes);
    if (!json) {
      at->end(json.error());
      co_return;
    }
    at->heard_at = at->clock.now();
    auto frame = parse_frame(*json);
    if (!frame) {
      at->end(frame.error());
      co_return;
    }
    take(*at, std::move(*frame));
  }
}

template <class State>
sys::Task<void> send_pings(std::shared_ptr<State> at) {
  while (!at->error) {
    Frame ping;
    ping.type = FrameType::ping;
    ping.sequence = ++at->ping;
    at->ping_at = at->clock.now();
    queue(*at, ping);
    co_await at->clock.sleep_for(kPingEvery);
  }
}

template <class State>
sys::Task<void> watch_silence(std::shared_ptr<State> at) {
  while (!at->error) {
    const auto deadline = at->heard_at + at->silence_limit;
    if (deadline <= at->clock.now()) {
      at->end(Error{Errc::timed_out, fmt::format("the other host has been silent for {:.0f} ms",
                                                 to_ms(at->clock.now() - at->heard_at))});
      co_return;
    }
    co_await at->limit_changed.wait_until(at->clock, deadline);
  }
}

template <class State>
sys::Task<Result<Frame>> next_frame(std::shared_ptr<State> at) {
  while (at->incoming.empty() && !at->error) co_await at->received.wait();
  if (at->incoming.empty()) co_return std::unexpected(*at->error);
  Frame frame = std::move(at->incoming.front());
  at->incoming.pop_front();
  co_return frame;
}

}  // namespace

Control::Control(const sys::Executor& executor, sys::Clock& clock, std::unique_ptr<sys::Stream> stream)
    : state_(std::make_shared<State>(executor, clock, std::move(stream))) {
  state_->gate.spawn(write_frames(state_));
  state_->gate.spawn(read_frames(state_));
  state_->gate.spawn(send_pings(state_));
  state_->gate.spawn(watch_silence(state_));
}

Control::~Control() { close(); }

void Control::send(Frame frame) { queue(*state_, frame); }

sys::Task<Result<Frame>> Control::receive() { return next_frame(state_); }

void Control::set_silence_limit(Nanos limit) {
  state_->silence_limit = limit;
  state_->limit_changed.notify();
}

Nanos Control::round_trip() const { return state_->round_trip; }

void Control::close() {
  state_->end(Error{Errc::cancelled, "control channel: closed on this side"});
  state_->gate.cancel();
}

}  // namespace godwit::migrate
