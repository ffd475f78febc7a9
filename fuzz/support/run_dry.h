// Runs a coroutine that waits for nothing outside of it.
#pragma once

#include "base/assert.h"
#include "sys/clock.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>

namespace godwit::fuzz {

template <class T>
sys::Task<void> keep(sys::Task<T> task, std::optional<T>& result) {
  result = co_await std::move(task);
}

template <class T>
T run_dry(sys::Task<T> task) {
  std::optional<T> result;
  boost::asio::io_context context{1};
  boost::asio::co_spawn(context, keep(std::move(task), result), boost::asio::detached);
  context.poll();
  GODWIT_ASSERT(result.has_value());
  return std::move(*result);
}

}  // namespace godwit::fuzz
