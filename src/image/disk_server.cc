#include "image/disk_server.h"

#include "image/disk_client.h"
#include "sys/accepting.h"

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>

namespace godwit::image {
namespace {

constexpr unsigned kSocketMode = 0600;
constexpr Seconds kWelcomeLimit{5};
constexpr Millis kFirstPause{50};  // until the agent is dialled again
constexpr Millis kLastPause{1000};

}  // namespace

struct DiskServer::State {
  State(sys::Runtime on, DiskServerOptions with)
      : runtime(std::move(on)),
        options(std::move(with)),
        to_say(runtime.executor),
        clients_changed(runtime.executor),
        gate(runtime.executor) {}

  sys::Runtime runtime;
  DiskServerOptions options;
  std::shared_ptr<SharedDisk> disk;
  std::unique_ptr<sys::Listener> listener;
  std::set<std::shared_ptr<DiskClient>> clients;
  std::unique_ptr<sys::Stream> agent;  // while it is up
  sys::Signal to_say;                  // to the agent
  sys::Signal clients_changed;
  sys::Gate gate;
};

namespace {

// ---- QEMU

template <class State>
sys::Task<void> serve(std::shared_ptr<State> at, std::shared_ptr<DiskClient> client) {
  at->clients.insert(client);
  at->clients_changed.notify();
  const auto ended = co_await client->run(client);
  at->runtime.log.debug("a client has ended: {}", ended.error().message);
  at->clients.erase(client);
  at->clients_changed.notify();
}

template <class State>
void welcome(const std::shared_ptr<State>& at, std::unique_ptr<sys::Stream> stream) {
  if (at->clients.size() >= kDiskClients) {
    at->runtime.log.warn("a client more than {}: refused", kDiskClients);
    return;
  }
  at->gate.spawn(serve(at, std::make_shared<DiskClient>(at->disk, std::move(stream))));
}

// ---- the agent

template <class State>
sys::Task<Result<>> tell_agent(std::shared_ptr<State> at) {
  for (;;) {
    while (const auto want = at->disk->pieces.next_want()) {
      const auto frame = desk::pack(*want);
      const auto written = co_await at->agent->write(frame);
      if (!written) co_return written;
    }
    while (const auto touched = at->disk->pieces.next_touched()) {
      const auto frame = desk::pack(*touched);
      const auto written = co_await at->agent->write(frame);
      if (!written) co_return written;
    }
    co_await at->to_say.wait();
  }
}

template <class State>
sys::Task<Result<>> hear_agent(std::shared_ptr<State> at) {
  for (;;) {
    const auto frame = co_await desk::read_frame(*at->agent, desk::kFrameLimit_bytes);
    if (!frame) co_return pass(frame);
    Result<> taken = fail(Errc::protocol, "disk server: a frame that is not for it");
    if (desk::type_of(*frame) == desk::Type::map) {
      const auto map = desk::parse_map(*frame);
      taken = map ? at->disk->pieces.take(*map) : pass(map);
    } else if (desk::type_of(*frame) == desk::Type::here) {
      const auto here = desk::parse_here(*frame);
      taken = here ? at->disk->pieces.take(*here) : pass(here);
    }
    if (!taken) co_return taken;
    at->disk->came.notify();
    at->to_say.notify();
  }
}

template <class State>
sys::Task<Result<>> greet(std::shared_ptr<State> at) {
  const auto hello = desk::pack(desk::Hello{});
  const auto written = co_await at->agent->write(hello);
  if (!written) co_return written;
  const auto frame = co_await desk::read_frame(*at->agent, desk::kGreetingLimit_bytes);
  if (!frame) co_return pass(frame);
  const auto welcome = desk::parse_welcome(*frame);
  if (!welcome) co_return pass(welcome);
  if (welcome->bytes != at->disk->file->size()) {
    co_return fail(Errc::conflict, "the agent has a disk of {} bytes, here are {}", welcome->bytes,
                   at->disk->file->size());
  }
  co_return Result<>{};
}

// One connection, to its end.
template <class State>
sys::Task<Result<>> meet_agent(std::shared_ptr<State> at, Millis& pause) {
  using namespace boost::asio::experimental::awaitable_operators;
  auto stream = co_await at->runtime.local.dial(at->options.desk);
  if (!stream) co_return pass(stream);
  at->agent = std::move(*stream);
  auto greeting = greet(at);
  const auto greeted =
      co_await sys::within(at->runtime.clock, kWelcomeLimit, "the agent's welcome", std::move(greeting));
  if (!greeted) co_return greeted;
  pause = kFirstPause;
  at->disk->pieces.begin_saying();
  auto both = tell_agent(at) || hear_agent(at);
  const auto ended = co_await std::move(both);
  co_return ended.index() == 0 ? std::get<0>(ended) : std::get<1>(ended);
}

template <class State>
sys::Task<void> keep_agent(std::shared_ptr<State> at) {
  Millis pause = kFirstPause;
  for (;;) {
    const auto ended = co_await meet_agent(at, pause);
    at->agent.reset();
    at->runtime.log.debug("the agent: {}", ended.error().message);
    co_await at->runtime.clock.sleep_for(pause);
    pause = std::min(pause * 2, kLastPause);
  }
}

}  // namespace

DiskServer::DiskServer(sys::Runtime runtime, DiskServerOptions options)
    : state_(std::make_shared<State>(std::move(runtime), std::move(options))) {}

DiskServer::~DiskServer() {
  for (const auto& client : state_->clients) client->close();
  state_->gate.cancel();
}

Result<> DiskServer::start() {
  auto& at = *state_;
  auto file = at.runtime.page_files.open(at.options.file);
  if (!file) return pass(file);
  const auto bytes = (*file)->size();
  if (bytes == 0 || bytes > kPiecesLimit * kPiece_bytes) {
    return fail(Errc::invalid_argument, "{}: no disk has {} bytes", at.options.file, bytes);
  }
  auto listener = at.runtime.local.listen(at.options.socket, kSocketMode, 0);
  if (!listener) return pass(listener);
  at.listener = std::move(*listener);
  auto touched = [state = state_.get()] { state->to_say.notify(); };
  at.disk = std::make_shared<SharedDisk>(at.runtime, std::move(*file), std::move(touched));
  auto take = [state = state_](std::unique_ptr<sys::Stream> stream) { welcome(state, std::move(stream)); };
  at.gate.spawn(sys::accept_each(*at.listener, at.runtime.clock, at.runtime.log, std::move(take)));
  at.gate.spawn(keep_agent(state_));
  return {};
}

sys::Task<void> DiskServer::wait_lonely() {
  const auto at = state_;
  for (;;) {
    while (!at->clients.empty()) co_await at->clients_changed.wait();
    const auto deadline = at->runtime.clock.now() + kDiskLonely;
    while (at->clients.empty() && at->runtime.clock.now() < deadline) {
      co_await at->clients_changed.wait_until(at->runtime.clock, deadline);
    }
    if (at->clients.empty()) co_return;
  }
}

sys::Task<void> DiskServer::stop() {
  const auto at = state_;
  if (at->listener) at->listener->close();
  for (const auto& client : at->clients) client->close();
  if (at->agent) at->agent->close();
  co_await at->gate.close();
}

}  // namespace godwit::image
