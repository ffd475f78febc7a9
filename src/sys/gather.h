// Several tasks at once, their results in order.
#pragma once

#include "sys/clock.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <vector>

namespace godwit::sys {

// Cancelling the gathering cancels each. A task lets no exception out but that of its cancellation, which is passed on.
template <class T>
Task<std::vector<T>> gather(Executor executor, std::vector<Task<T>> tasks) {
  namespace asio = boost::asio;
  std::vector<T> results;
  if (tasks.empty()) co_return results;
  using Operation = decltype(asio::co_spawn(executor, std::move(tasks.front()), asio::deferred));
  std::vector<Operation> operations;
  operations.reserve(tasks.size());
  for (auto& task : tasks) operations.push_back(asio::co_spawn(executor, std::move(task), asio::deferred));
  auto group = asio::experimental::make_parallel_group(std::move(operations));
  auto [order, thrown, values] = co_await group.async_wait(asio::experimental::wait_for_all(), asio::use_awaitable);
  for (const auto& each : thrown) {
    if (each) std::rethrow_exception(each);
  }
  co_return std::move(values);
}

}  // namespace godwit::sys
