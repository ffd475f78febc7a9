#include "os/awaiting.h"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

namespace godwit::os {
namespace asio = boost::asio;

sys::Task<void> unless_cancelled() { co_return; }  // to await any awaitable throws when cancelled

sys::Task<void> give_way() {
  const auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, asio::use_awaitable);
}

std::unexpected<Error> failure(const boost::system::error_code& error, std::string_view operation) {
  if (error == asio::error::operation_aborted) return fail(Errc::cancelled, "{}: closed on this side", operation);
  if (error == asio::error::eof) return fail(Errc::closed, "{}: the other side closed the stream", operation);
  if (error.category() == boost::system::system_category()) return fail_errno(error.value(), operation);
  return fail(Errc::io, "{}: {}", operation, error.message());
}

}  // namespace godwit::os
