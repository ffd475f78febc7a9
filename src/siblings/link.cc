#include "siblings/link.h"

#include "sys/task.h"

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <deque>
#include <map>

namespace godwit::siblings {
namespace {

constexpr Seconds kDialLimit{5};
constexpr Seconds kGreetingLimit{2};
constexpr Millis kFirstPause{200};
constexpr Seconds kLastPause{60};
constexpr Seconds kShunned{600};
constexpr Seconds kWarnEvery{60};
constexpr Seconds kLasting{10};           // a connection that stood so long was one
constexpr int kMostOverdue = 3;           // questions in a row, without any answer meanwhile: then it is dialled again
constexpr std::size_t kMostWaiting = 64;  // questions
constexpr std::size_t kMostQueued_bytes = 1 << 20;  // of frames

// Of one question.
struct Answer {
  explicit Answer(const sys::Executor& executor) : came(executor) {}
  std::optional<Result<ByteVector>> frame;
  sys::Signal came;
};

}  // namespace

struct Link::State {
  State(const sys::Runtime& on, Sibling to, Incarnation us, std::function<void()> owing)
      : runtime(on),
        sibling(std::move(to)),
        own(us),
        on_owing(std::move(owing)),
        changed(on.executor),
        to_send(on.executor),
        gate(on.executor) {}

  [[nodiscard]] TimePoint now() const { return runtime.clock.now(); }
  [[nodiscard]] bool in_pause() const { return !stream && now() < retry_at; }
  void lengthen_pause() { pause = std::min<Nanos>(pause * 2, kLastPause); }
  void warn(const Error& error);
  void end(const Error& error);
  void fail_waiting(const Error& error);
  void overdue(TimePoint asked_at);
  bool queue(ByteVector frame);

  sys::Runtime runtime;
  Sibling sibling;
  Incarnation own;
  std::function<void()> on_owing;

  std::unique_ptr<sys::PeerStream> stream;  // while it is up
  TimePoint up_since{};
  Welcome welcome;
  std::deque<ByteVector> outgoing;
  std::size_t outgoing_bytes{0};
  std::uint32_t last_request{0};
  std::map<std::uint32_t, std::shared_ptr<Answer>> waiting;
  TimePoint heard_at{};

  int overdue_in_a_row{0};
  Incarnation met{0};  // the process that was there last; 0: none was
  bool said_any{false};
  bool wanted{false};    // there is something to say
  bool owed{false};      // something that was said may not have arrived
  TimePoint retry_at{};  // of a connection
  TimePoint ask_again_at{};
  TimePoint shunned_until{};
  TimePoint warn_at{};
  Nanos pause{kFirstPause};
  sys::Signal changed;  // stream, wanted
  sys::Signal to_send;
  sys::Gate gate;
};

void Link::State::warn(const Error& error) {
  if (now() < warn_at) return runtime.log.debug("directory: {}: {}", sibling.name, error.message);
  warn_at = now() + kWarnEvery;
  runtime.log.info("directory: {}: {}; goes on without it", sibling.name, error.message);
}

// Of the connection, or of the attempt to make one.
void Link::State::end(const Error& error) {
  warn(error);
  if (stream) stream->close();
  stream.reset();
  owed = owed || said_any;
  outgoing.clear();
  outgoing_bytes = 0;
  fail_waiting(error);
  if (up_since != TimePoint{} && now() - up_since >= kLasting) pause = kFirstPause;
  up_since = {};
  retry_at = now() + pause;
  lengthen_pause();
  wanted = owed;
  changed.notify();
  to_send.notify();
}

void Link::State::fail_waiting(const Error& error) {
  for (const auto& [request, answer] : std::exchange(waiting, {})) {
    answer->frame = std::unexpected(error);
    answer->came.notify();
  }
}

// It may only be slow; but a bring should not wait for it again and again.
void Link::State::overdue(TimePoint asked_at) {
  ask_again_at = now() + pause;
  lengthen_pause();
  if (heard_at >= asked_at || !stream) return;
  // Its reader ends with an error then, and with it the connection.
  if (++overdue_in_a_row >= kMostOverdue) stream->close();
}

bool Link::State::queue(ByteVector frame) {
  if (outgoing_bytes + frame.size() > kMostQueued_bytes && !outgoing.empty()) return false;
  outgoing_bytes += frame.size();
  outgoing.push_back(std::move(frame));
  wanted = true;
  to_send.notify();
  changed.notify();
  return true;
}

namespace {

template <class State>
sys::Task<Result<Welcome>> greet(std::shared_ptr<State> at, sys::PeerStream& stream, std::uint32_t version) {
  const Hello ours{at->own, version};
  const auto hello = pack(ours);
  const auto written = co_await stream.write(hello);
  if (!written) co_return pass(written);
  const auto frame = co_await read_frame(stream, kGreetingLimit_bytes);
  if (!frame) co_return pass(frame);
  auto welcome = parse_welcome(*frame);
  if (welcome && welcome->version > version) co_return fail(Errc::protocol, "directory: a version that was not said");
  co_return welcome;
}

// `refused`: it was there, and did not answer this greeting.
template <class State>
sys::Task<Result<std::unique_ptr<sys::PeerStream>>> connect(std::shared_ptr<State> at, std::uint32_t version,
                                                            bool& refused) {
  sys::PeerAddress address{at->sibling.ip, at->sibling.port, at->sibling.name};
  auto dialing = at->runtime.peers.dial(std::move(address));
  auto stream = co_await sys::within(at->runtime.clock, kDialLimit, "dial", std::move(dialing));
  if (!stream) co_return stream;
  auto greeting = greet(at, **stream, version);
  const auto welcome = co_await sys::within(at->runtime.clock, kGreetingLimit, "hello", std::move(greeting));
  refused = !welcome && welcome.error().code != Errc::timed_out;
  if (!welcome) co_return pass(welcome);
  at->welcome = *welcome;
  co_return stream;
}

// An older agent hangs up on the word of a newer one: then it is spoken to as it speaks.
template <class State>
sys::Task<Result<std::unique_ptr<sys::PeerStream>>> connect(std::shared_ptr<State> at) {
  bool refused = false;
  auto stream = co_await connect(at, kProtocolVersion, refused);
  if (!stream && refused) stream = co_await connect(at, kOldestVersion, refused);
  co_return stream;
}

template <class State>
sys::Task<Result<>> write_frames(std::shared_ptr<State> at, sys::PeerStream& stream) {
  for (;;) {
    while (at->outgoing.empty()) co_await at->to_send.wait();
    const ByteVector frame = std::move(at->outgoing.front());
    at->outgoing.pop_front();
    at->outgoing_bytes -= frame.size();
    if (least_version(frame) > at->welcome.version) continue;  // it would not know what that means
    const auto written = co_await stream.write(frame);
    if (!written) co_return written;
  }
}

// Both kinds of answer begin with the type and the number of the request.
template <class State>
sys::Task<Result<>> read_answers(std::shared_ptr<State> at, sys::PeerStream& stream) {
  for (;;) {
    auto frame = co_await read_frame(stream, kAnswerLimit_bytes);
    if (!frame) co_return pass(frame);
    const auto type = type_of(*frame);
    if ((type != Type::found && type != Type::pages) || frame->size() < 5) {
      co_return fail(Errc::protocol, "directory: a frame that is no answer");
    }
    at->heard_at = at->now();
    at->overdue_in_a_row = 0;
    at->pause = kFirstPause;
    const auto found = at->waiting.find(load_be32(ByteView(*frame).subspan(1)));
    if (found == at->waiting.end()) continue;  // it is too late
    found->second->frame = std::move(*frame);
    found->second->came.notify();
    at->waiting.erase(found);
  }
}

template <class State>
sys::Task<void> keep(std::shared_ptr<State> at) {
  using namespace boost::asio::experimental::awaitable_operators;
  for (;;) {
    while (!at->wanted) co_await at->changed.wait();
    while (at->now() < at->retry_at) co_await at->runtime.clock.sleep_until(at->retry_at);
    auto stream = co_await connect(at);
    if (!stream) {
      at->end(stream.error());
      continue;
    }
    at->stream = std::move(*stream);
    at->up_since = at->heard_at = at->now();
    at->overdue_in_a_row = 0;
    auto& connection = *at->stream;
    const bool news = at->said_any && at->met != 0 && at->met != at->welcome.incarnation;
    at->met = at->welcome.incarnation;
    at->changed.notify();
    if (std::exchange(at->owed, false) || news) at->on_owing();
    auto both = write_frames(at, connection) || read_answers(at, connection);
    const auto ended = co_await std::move(both);
    const auto& outcome = ended.index() == 0 ? std::get<0>(ended) : std::get<1>(ended);
    at->end(outcome.error());
  }
}

template <class State>
sys::Task<Result<ByteVector>> ask_on(std::shared_ptr<State> at, Link::Make make, TimePoint deadline) {
  if (at->in_pause() || at->now() < std::max(at->shunned_until, at->ask_again_at) ||
      at->waiting.size() >= kMostWaiting) {
    co_return fail(Errc::unavailable, "ask {}: it is left alone for a while", at->sibling.name);
  }
  at->wanted = true;
  at->changed.notify();
  while (!at->stream) {
    if (at->in_pause()) co_return fail(Errc::unavailable, "ask {}: can't be reached", at->sibling.name);
    if (at->now() >= deadline) co_return fail(Errc::timed_out, "ask {}: no connection in time", at->sibling.name);
    co_await at->changed.wait_until(at->runtime.clock, deadline);
  }
  const auto request = ++at->last_request;
  auto frame = make(request, at->welcome.nonce);
  if (!frame) co_return frame;
  if (least_version(*frame) > at->welcome.version) {
    co_return fail(Errc::unsupported, "ask {}: its agent is older than the question", at->sibling.name);
  }
  if (!at->queue(std::move(*frame))) co_return fail(Errc::exhausted, "ask {}: it reads nothing", at->sibling.name);
  const auto asked_at = at->now();
  const auto answer = std::make_shared<Answer>(at->runtime.executor);
  // Who is cancelled waits no more.
  struct Waiting {
    State& in;
    std::uint32_t number;
    ~Waiting() { in.waiting.erase(number); }
  } const waiting{*at, request};
  at->waiting[request] = answer;
  while (!answer->frame) {
    if (at->now() >= deadline) {
      at->overdue(asked_at);
      co_return fail(Errc::timed_out, "ask {}: no answer in time", at->sibling.name);
    }
    co_await answer->came.wait_until(at->runtime.clock, deadline);
  }
  co_return std::move(*answer->frame);
}

}  // namespace

Link::Link(sys::Runtime& runtime, Sibling sibling, Incarnation own, std::function<void()> on_owing)
    : state_(std::make_shared<State>(runtime, std::move(sibling), own, std::move(on_owing))) {
  state_->gate.spawn(keep(state_));
}

Link::~Link() { close(); }

void Link::close() {
  state_->on_owing = [] {};
  state_->retry_at = state_->shunned_until = TimePoint::max();
  if (state_->stream) state_->stream->close();  // it lives until its reader and writer have ended
  state_->fail_waiting(Error{Errc::cancelled, "closed on this side"});
  state_->changed.notify();
  state_->gate.cancel();
}

void Link::say(ByteVector frame) {
  state_->said_any = true;
  if (state_->in_pause() || !state_->queue(std::move(frame))) {
    state_->owed = true;
    state_->wanted = true;
    state_->changed.notify();
  }
}

sys::Task<Result<ByteVector>> Link::ask(Make make, TimePoint deadline) {
  return ask_on(state_, std::move(make), deadline);
}

void Link::shun(const std::string& why) {
  state_->shunned_until = state_->now() + kShunned;
  state_->warn(Error{Errc::not_authentic, why});
}

const Sibling& Link::sibling() const { return state_->sibling; }

}  // namespace godwit::siblings
