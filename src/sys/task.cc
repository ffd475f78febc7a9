#include "sys/task.h"

#include "base/assert.h"
#include "base/id.h"

#include <array>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/multiple_exceptions.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdio>

namespace godwit::sys {
namespace asio = boost::asio;

std::string Random::id(std::string_view prefix) {
  std::array<std::byte, 9> bytes{};
  fill(bytes);
  return make_id(prefix, bytes);
}

struct Gate::State {
  explicit State(const Executor& executor) : drained(executor) {}
  std::list<asio::cancellation_signal> running;
  Signal drained;
  bool closed{false};
};

namespace {

// True when the task ended in order or was cancelled; anything else is a bug.
void expect_no_bug(const std::exception_ptr& thrown) {
  if (!thrown) return;
  try {
    std::rethrow_exception(thrown);
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) return;
    std::fprintf(stderr, "godwit: bug: a coroutine let an exception out: %s\n", error.what());
  } catch (const asio::multiple_exceptions& both) {  // `a || b` and `a && b`, when both were cancelled
    expect_no_bug(both.first_exception());
    return;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "godwit: bug: a coroutine let an exception out: %s\n", error.what());
  }
  const bool only_cancellation_leaves_a_coroutine = false;
  GODWIT_ASSERT(only_cancellation_leaves_a_coroutine);
}

}  // namespace

Gate::Gate(Executor executor) : executor_(std::move(executor)), state_(std::make_shared<State>(executor_)) {}
Gate::~Gate() = default;

void Gate::spawn(Task<void> task) {
  if (state_->closed) return;
  const auto self = state_->running.emplace(state_->running.end());
  auto ended = [state = state_, self](const std::exception_ptr& thrown) {
    state->running.erase(self);
    expect_no_bug(thrown);
    if (state->running.empty()) state->drained.notify();
  };
  asio::co_spawn(executor_, std::move(task), asio::bind_cancellation_slot(self->slot(), std::move(ended)));
}

void Gate::cancel() {
  state_->closed = true;
  // On the executor, at once where we are on it already: from elsewhere Asio would remember the signals and use them
  // later, when a task that ended by itself has destroyed its own.
  asio::dispatch(executor_, [state = state_] {
    // A cancelled task may end at once and take itself off the list.
    for (auto each = state->running.begin(); each != state->running.end();)
      (each++)->emit(asio::cancellation_type::terminal);
  });
}

Task<void> Gate::close() {
  const auto state = state_;
  cancel();
  while (!state->running.empty()) co_await state->drained.wait();
}

std::size_t Gate::running() const { return state_->running.size(); }

Task<void> throw_if_cancelled() {
  const auto cancelled = (co_await asio::this_coro::cancellation_state).cancelled();
  if (cancelled != asio::cancellation_type::none) throw boost::system::system_error(asio::error::operation_aborted);
}

// A timer that never fires on its own: cancelling it wakes those who wait.
struct Signal::Impl {
  explicit Impl(const Executor& executor) : timer(executor, asio::steady_timer::time_point::max()) {}
  asio::steady_timer timer;
};

Signal::Signal(const Executor& executor) : impl_(std::make_unique<Impl>(executor)) {}
Signal::~Signal() = default;

void Signal::notify() { impl_->timer.cancel(); }

// Ends when notified, and without an exception when cancelled.
Task<void> Signal::rest() {
  boost::system::error_code woken;  // always operation_aborted
  co_await impl_->timer.async_wait(asio::redirect_error(asio::use_awaitable, woken));
}

Task<void> Signal::wait() {
  co_await rest();
  co_await throw_if_cancelled();
}

Task<void> Signal::wait_until(Clock& clock, TimePoint deadline) {
  using namespace asio::experimental::awaitable_operators;
  auto race = rest() || clock.rest_until(deadline);
  co_await std::move(race);
  co_await throw_if_cancelled();
}

}  // namespace godwit::sys
