// The template behind within(): see sys/task.h.
#pragma once

#include "sys/clock.h"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <utility>
#include <variant>

namespace godwit::sys {

template <class T>
Task<Result<T>> within(Clock& clock, Nanos limit, std::string what, Task<Result<T>> task) {
  using namespace boost::asio::experimental::awaitable_operators;
  auto race = std::move(task) || clock.rest_until(clock.now() + limit);
  auto outcome = co_await std::move(race);
  if (outcome.index() == 0) co_return std::move(std::get<0>(outcome));
  co_await throw_if_cancelled();
  co_return fail(Errc::timed_out, "{}: no answer within {:.0f} ms", what, to_ms(limit));
}

}  // namespace godwit::sys
