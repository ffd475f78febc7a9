#include "os/http_client.h"

#include "os/awaiting.h"
#include "os/http_wire.h"
#include "os/local_sockets.h"
#include "os/tcp.h"
#include "sys/task.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <cerrno>

namespace godwit::os {
namespace {

constexpr Seconds kConnectLimit{5};
constexpr Seconds kKeepFor{30};  // less than a server's idle limit, so that we hang up first
constexpr std::size_t kKept = 32;
constexpr std::size_t kKeptOfOne = 4;
constexpr std::size_t kResponseBytes = 16UL * 1024 * 1024;
constexpr std::size_t kReadBytes = 32UL * 1024;

std::string key_of(const sys::HttpEndpoint& to) { return fmt::format("{}#{}", sys::to_url(to), to.name); }

// Not even the end of the stream has come. A server says nothing unasked.
bool quiet(int socket) {
  std::byte byte{};
  return ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

// The first address of a name; addresses are taken as they are.
sys::Task<Result<std::string>> resolve(std::string host) {
  namespace ip = boost::asio::ip;
  boost::system::error_code no_address;
  ip::make_address(host, no_address);
  if (!no_address) co_return host;
  const auto executor = co_await boost::asio::this_coro::executor;
  ip::tcp::resolver resolver(executor);
  auto [error, found] = co_await resolver.async_resolve(host, "", kAwait);
  co_await unless_cancelled();
  if (error || found.empty()) co_return fail(Errc::unavailable, "resolve \"{}\": {}", host, error.message());
  co_return found.begin()->endpoint().address().to_string();
}

// For a caller of HTTP, a stream that broke is a server that cannot be reached.
Error as_unreachable(Error error) {
  if (error.code == Errc::closed || error.code == Errc::io || error.code == Errc::not_found) {
    error.code = Errc::unavailable;
  }
  return error;
}

}  // namespace

struct HttpClient::Exchange {
  std::string endpoint;
  std::string bytes;
  Nanos idle_limit;
  ResponseReader reader;
};

std::optional<HttpClient::Connection> HttpClient::take_kept(const std::string& endpoint) {
  drop_old();
  for (auto each = kept_.find(endpoint); each != kept_.end() && each->first == endpoint;) {
    auto connection = std::move(each->second);
    each = kept_.erase(each);
    if (quiet(connection.socket)) return connection;
  }
  return std::nullopt;
}

void HttpClient::drop_old() {
  const auto now = clock_.now();
  std::erase_if(kept_, [now](const auto& each) { return now - each.second.idle_since > kKeepFor; });
}

void HttpClient::keep(const std::string& endpoint, Connection connection) {
  drop_old();
  if (connection.generation != generation_ || kept_.size() >= kKept || kept_.count(endpoint) >= kKeptOfOne) return;
  connection.kept = true;
  connection.idle_since = clock_.now();
  kept_.emplace(endpoint, std::move(connection));
}

sys::Task<Result<HttpClient::Connection>> HttpClient::connect(sys::HttpEndpoint to) {
  Connection connection;
  connection.generation = generation_;
  if (to.tls == sys::HttpTls::server && to.name.empty()) {
    co_return fail(Errc::invalid_argument, "call {}: the server's name must be known", sys::to_url(to));
  }
  Result<Socket> socket = fail(Errc::internal, "not dialled");
  if (to.host.starts_with('/')) {
    socket = co_await dial_local(to.host);
  } else {
    const auto address = co_await resolve(to.host);
    if (!address) co_return pass(address);
    socket = co_await dial_tcp(*address, to.port);
  }
  if (!socket) co_return pass(socket);
  connection.socket = socket->native_handle();
  if (to.tls == sys::HttpTls::none) {
    connection.stream = plain_stream(std::move(*socket), sys::to_url(to));
    co_return connection;
  }
  auto stream = co_await tls_->connect(std::move(*socket), to.name);
  if (!stream) co_return pass(stream);
  connection.stream = std::move(*stream);
  co_return connection;
}

sys::Task<Result<sys::HttpResponse>> HttpClient::exchange(Exchange& exchange, Connection connection) {
  auto& [endpoint, bytes, idle_limit, reader] = exchange;
  // A server that refuses what we send answers before it has read it all: its answer counts, not our broken pipe.
  auto write = connection.stream->write(as_bytes(bytes));
  const auto written = co_await sys::within(clock_, idle_limit, "send the request", std::move(write));
  if (!written && written.error().code == Errc::timed_out) co_return pass(written);
  std::string buffer;
  ByteVector scratch(kReadBytes);
  while (!reader.done()) {
    auto read = connection.stream->read_some(scratch);
    const auto count = co_await sys::within(clock_, idle_limit, "answer", std::move(read));
    Result<> fed;
    if (count) {
      buffer += as_text(ByteView(scratch).first(*count));
      fed = reader.feed(buffer);
    } else if (count.error().code == Errc::closed && reader.started()) {
      fed = reader.feed_end();
    } else {
      co_return pass(count);
    }
    if (!fed) co_return pass(fed);
  }
  if (reader.keep_alive() && buffer.empty() && written) keep(endpoint, std::move(connection));
  co_return reader.take();
}

sys::Task<Result<sys::HttpResponse>> HttpClient::call(std::shared_ptr<HttpClient> self, sys::HttpEndpoint to,
                                                      sys::HttpRequest request, Nanos idle_limit,
                                                      std::function<void(std::string)> on_chunk) {
  const auto url = sys::to_url(to);
  const auto endpoint = key_of(to);
  const bool to_head = request.method == "HEAD";
  const bool v6 = to.host.find(':') != std::string::npos;
  auto host = to.host.starts_with('/') ? std::string("localhost")
                                       : fmt::format("{}{}{}:{}", v6 ? "[" : "", to.host, v6 ? "]" : "", to.port);
  auto bytes = write_request(request, host);
  if (!bytes) co_return pass(bytes);
  for (bool fresh = false;; fresh = true) {
    auto connection = fresh ? std::nullopt : self->take_kept(endpoint);
    if (!connection) {
      auto connected = co_await sys::within(self->clock_, kConnectLimit, "connect to " + url, self->connect(to));
      if (!connected) co_return std::unexpected(as_unreachable(connected.error()));
      connection = std::move(*connected);
    }
    Exchange exchange{endpoint, *bytes, idle_limit, ResponseReader(to_head, kResponseBytes, on_chunk)};
    const bool kept = connection->kept;
    auto response = co_await self->exchange(exchange, std::move(*connection));
    if (response) co_return response;
    const bool died_unused = kept && !exchange.reader.started() && response.error().code != Errc::timed_out;
    if (died_unused && request.method != "POST") continue;
    const auto context = fmt::format("{} {}{}", request.method, url, request.path);
    co_return std::unexpected(as_unreachable(response.error().within(context)));
  }
}

}  // namespace godwit::os
