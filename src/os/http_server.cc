#include "os/http_server.h"

#include "os/awaiting.h"
#include "os/http_wire.h"
#include "os/local_sockets.h"
#include "os/tcp.h"
#include "sys/task.h"

#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <list>

namespace godwit::os {
namespace {

constexpr std::size_t kReadBytes = 16UL * 1024;
constexpr std::size_t kAheadBytes = 64UL * 1024;  // that a client may send while it watches

struct Connection {
  std::unique_ptr<sys::Stream> stream;
  std::string remote;
  std::optional<sys::PeerIdentity> peer;
  std::string buffer;  // read, not yet parsed
  std::array<std::byte, kReadBytes> scratch{};
};

// Shared by the server and its coroutines, which end soon after it.
struct Serving {
  Serving(const sys::Executor& executor, sys::Clock& time, Log sink, Descriptor listening, std::string label)
      : clock(time),
        log(std::move(sink)),
        port(port_of(listening)),
        family(family_of(listening)),
        acceptor(executor, std::move(listening), family, std::move(label)),
        changed(executor),
        gate(executor) {}

  sys::Clock& clock;
  Log log;
  std::uint16_t port;
  int family;
  std::shared_ptr<Tls> tls;  // empty: in clear
  sys::HttpHandler handler;
  sys::HttpLimits limits;
  HttpTimes times;
  Acceptor acceptor;
  int connections{0};
  std::list<sys::Stream*> idle;  // between requests, the longest first
  bool closed{false};
  sys::Signal changed;  // a connection ended, or is idle
  sys::Gate gate;
};

struct Counted {
  explicit Counted(std::shared_ptr<Serving> serving) : at(std::move(serving)) { ++at->connections; }
  ~Counted() {
    --at->connections;
    at->changed.notify();
  }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  std::shared_ptr<Serving> at;
};

// While it lives, the stream may be closed to make room.
class Idle {
 public:
  Idle(Serving& at, sys::Stream& stream) : at_(at), place_(at.idle.insert(at.idle.end(), &stream)) {
    at_.changed.notify();
  }
  ~Idle() { at_.idle.erase(place_); }
  Idle(const Idle&) = delete;
  Idle& operator=(const Idle&) = delete;

 private:
  Serving& at_;
  std::list<sys::Stream*>::iterator place_;
};

// --- Reading a request
// ------------------------------------------------------------------------------------------------

sys::Task<Result<>> fill(Connection& connection) {
  const auto count = co_await connection.stream->read_some(connection.scratch);
  if (!count) co_return pass(count);
  connection.buffer += as_text(ByteView(connection.scratch).first(*count));
  co_return Result<>{};
}

sys::Task<Result<>> read_header(Connection& connection, RequestReader& reader) {
  for (;;) {
    auto fed = reader.feed(connection.buffer);
    if (!fed || reader.header_done()) co_return fed;
    auto filled = co_await fill(connection);
    if (!filled) co_return filled;
  }
}

sys::Task<Result<>> read_body(Connection& connection, RequestReader& reader) {
  if (!reader.done() && reader.expects_continue()) {
    auto told = co_await connection.stream->write(as_bytes("HTTP/1.1 100 Continue\r\n\r\n"));
    if (!told) co_return told;
  }
  while (!reader.done()) {
    auto filled = co_await fill(connection);
    if (!filled) co_return filled;
    auto fed = reader.feed(connection.buffer);
    if (!fed) co_return fed;
  }
  co_return Result<>{};
}

// What came of reading: a request, a refusal to be answered, or neither when the client is gone or idle.
struct Received {
  std::optional<sys::HttpRequest> request;
  std::optional<sys::HttpResponse> refusal;
};

Received refuse(const RequestReader& reader, const Error& error) {
  Received received;
  if (error.code == Errc::timed_out) {
    received.refusal = error_response(408, error.code, "the request did not come in time");
  } else if (error.code == Errc::invalid_argument || error.code == Errc::exhausted) {
    received.refusal = error_response(reader.refusal(), error.code, error.message);
  }
  return received;
}

sys::Task<Received> receive(Serving& at, Connection& connection, RequestReader& reader) {
  Received received;
  if (connection.buffer.empty()) {
    const Idle idle(at, *connection.stream);
    const auto first = co_await sys::within(at.clock, at.limits.idle, "request", fill(connection));
    if (!first) co_return received;
  }
  const auto header = co_await sys::within(at.clock, at.times.header, "header", read_header(connection, reader));
  if (!header) co_return refuse(reader, header.error());
  const auto body = co_await sys::within(at.clock, at.times.body, "body", read_body(connection, reader));
  if (!body) co_return refuse(reader, body.error());
  auto request = reader.take();
  if (!request) co_return refuse(reader, request.error());
  request->remote = connection.remote;
  request->peer = connection.peer;
  received.request = std::move(*request);
  co_return received;
}

// --- Answering it
// -----------------------------------------------------------------------------------------------------

sys::Task<Result<>> write_text(Serving& at, Connection& connection, std::string text) {
  auto write = connection.stream->write(as_bytes(text));
  co_return co_await sys::within(at.clock, at.times.write, "response", std::move(write));
}

// Returns when the client hangs up: reading is the only way to notice. What it sends meanwhile is kept for later.
sys::Task<void> until_gone(Connection& connection) {
  while (connection.buffer.size() < kAheadBytes) {
    const auto filled = co_await fill(connection);
    if (!filled) co_return;
  }
}

sys::Task<Result<>> write_watch(Serving& at, Connection& connection, sys::HttpResponse response, bool keep_alive) {
  using namespace boost::asio::experimental::awaitable_operators;
  auto opening = write_response(response, Framing::chunked, false, keep_alive);
  if (!response.body.empty()) opening += write_chunk(response.body);
  auto written = co_await write_text(at, connection, std::move(opening));
  while (written) {
    auto race = response.next_chunk() || until_gone(connection);
    auto outcome = co_await std::move(race);
    if (outcome.index() == 1) co_return fail(Errc::closed, "watch: the client is gone");
    const auto chunk = std::get<0>(std::move(outcome));
    if (!chunk) co_return pass(chunk);  // without a last chunk, so that the client knows it for an error
    written = co_await write_text(at, connection, write_chunk(*chunk));
    if (chunk->empty()) break;
  }
  co_return written;
}

// Says whether the connection can carry another request.
sys::Task<bool> answer(Serving& at, Connection& connection, RequestReader& reader, sys::HttpRequest request) {
  const bool to_head = request.method == "HEAD";
  const bool keep_alive = reader.keep_alive();
  auto response = co_await at.handler(std::move(request));
  if (response.next_chunk && !to_head) {
    const auto watched = co_await write_watch(at, connection, std::move(response), keep_alive);
    co_return watched&& keep_alive;
  }
  auto text = write_response(response, Framing::counted, to_head, keep_alive);
  const auto written = co_await write_text(at, connection, std::move(text));
  co_return written&& keep_alive;
}

// The client may still be sending what we refused; reading a little of it lets it see the answer before the reset.
sys::Task<void> refuse_and_close(Serving& at, Connection& connection, const sys::HttpResponse& refusal) {
  auto text = write_response(refusal, Framing::counted, false, false);
  const auto written = co_await write_text(at, connection, std::move(text));
  if (!written) co_return;
  const auto shut = co_await connection.stream->shutdown_write();
  if (!shut) co_return;
  connection.buffer.clear();
  auto drained = [](Connection& from) -> sys::Task<Result<>> {
    co_await until_gone(from);
    co_return Result<>{};
  };
  auto draining = drained(connection);
  static_cast<void>(co_await sys::within(at.clock, Seconds(1), "drain", std::move(draining)));
}

sys::Task<void> converse(Serving& at, Connection& connection) {
  for (;;) {
    RequestReader reader(at.limits);
    auto received = co_await receive(at, connection, reader);
    if (received.refusal) co_await refuse_and_close(at, connection, *received.refusal);
    if (!received.request) break;
    const bool more = co_await answer(at, connection, reader, std::move(*received.request));
    if (!more) break;
  }
  static_cast<void>(co_await connection.stream->shutdown_write());
}

// --- Connections
// ------------------------------------------------------------------------------------------------------

sys::Task<void> serve_one(std::unique_ptr<Counted> counted, Socket socket) {
  const auto at = counted->at;
  if (at->family != AF_UNIX) tune(socket.native_handle());
  Connection connection;
  connection.remote = remote_of(socket.native_handle());
  if (at->tls) {
    auto stream =
        co_await sys::within(at->clock, at->times.handshake, "TLS handshake", at->tls->accept(std::move(socket)));
    if (!stream) {
      at->log.debug("refused a connection from {}: {}", connection.remote, stream.error().message);
      co_return;
    }
    if ((*stream)->identified()) connection.peer = (*stream)->peer();
    connection.stream = std::move(*stream);
  } else {
    connection.stream = plain_stream(std::move(socket), connection.remote);
  }
  co_await converse(*at, connection);
}

// Room is made for one that is there, and not before: a connection that is new is idle until its request has come.
sys::Task<void> make_room(std::shared_ptr<Serving> at) {
  while (at->connections >= at->limits.connections) {
    if (!at->idle.empty()) at->idle.front()->close();
    co_await at->changed.wait();
  }
}

sys::Task<void> accept_all(std::shared_ptr<Serving> at) {
  while (!at->closed) {
    auto socket = co_await at->acceptor.accept();
    if (!socket) {
      if (!at->closed) at->log.error("{}", socket.error().message);
      co_return;
    }
    co_await make_room(at);
    at->gate.spawn(serve_one(std::make_unique<Counted>(at), std::move(*socket)));
  }
}

class Server final : public sys::HttpServer {
 public:
  Server(std::shared_ptr<Serving> at, std::string socket_path)
      : at_(std::move(at)), socket_path_(std::move(socket_path)) {
    at_->gate.spawn(accept_all(at_));
  }
  ~Server() override { Server::close(); }
  [[nodiscard]] std::uint16_t port() const override { return at_->port; }
  void close() override {
    at_->closed = true;
    at_->acceptor.close();
    at_->gate.cancel();
    if (!socket_path_.empty()) ::unlink(socket_path_.c_str());
    socket_path_.clear();
  }

 private:
  std::shared_ptr<Serving> at_;
  std::string socket_path_;  // empty for TCP
};

}  // namespace

Result<std::unique_ptr<sys::HttpServer>> serve_http(const sys::Executor& executor, sys::Clock& clock, Log log,
                                                    std::shared_ptr<Tls> tls, const sys::HttpListen& where,
                                                    sys::HttpHandler handler, HttpTimes times) {
  const bool unix_socket = where.host.starts_with('/');
  if (where.tls == sys::HttpTls::server && !tls->has_identity()) {
    return fail(Errc::conflict, "serve HTTPS on {} port {}: this process has no certificate yet", where.host,
                where.port);
  }
  auto listening = unix_socket ? listen_local(where.host, 0660, 0)
                               : listen_tcp(TcpListen{where.host, where.port, where.network_namespace, where.device});
  if (!listening) return pass(listening);
  auto at = std::make_shared<Serving>(executor, clock, std::move(log), std::move(*listening), where.host);
  if (where.tls == sys::HttpTls::server) at->tls = std::move(tls);
  at->handler = std::move(handler);
  at->limits = where.limits;
  at->times = times;
  return std::make_unique<Server>(std::move(at), unix_socket ? where.host : std::string());
}

}  // namespace godwit::os
