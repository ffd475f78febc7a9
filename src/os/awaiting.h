// How this module awaits Asio: errors as values, cancellation of the coroutine itself as the exception that sys::Gate
// expects.
#pragma once

#include "base/result.h"
#include "sys/clock.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <string_view>

namespace godwit::os {

// `auto [error] = co_await timer.async_wait(kAwait);`
inline constexpr auto kAwait = boost::asio::as_tuple(boost::asio::use_awaitable);

// Throws operation_aborted where the awaiting coroutine was cancelled; else does nothing. After an operation that
// failed: it tells "we were cancelled" from "somebody closed the object".
[[nodiscard]] sys::Task<void> unless_cancelled();

// Lets everything else that is ready run first: a stream that never has to wait must not starve the others.
[[nodiscard]] sys::Task<void> give_way();

// operation_aborted becomes Errc::cancelled ("closed on this side"), end of file Errc::closed, the rest as
// fail_errno().
[[nodiscard]] std::unexpected<Error> failure(const boost::system::error_code& error, std::string_view operation);

}  // namespace godwit::os
