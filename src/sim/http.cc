#include "sim/http.h"

#include <boost/asio/experimental/awaitable_operators.hpp>

namespace godwit::sim {
namespace {

// A message as a stream carries it: a count, then so many strings, each with its length.
using Fields = std::vector<std::string>;

ByteVector pack(const Fields& fields) {
  ByteVector out;
  append_be32(out, static_cast<std::uint32_t>(fields.size()));
  for (const auto& each : fields) {
    append_be32(out, static_cast<std::uint32_t>(each.size()));
    append(out, as_bytes(each));
  }
  return out;
}

sys::Task<Result<std::uint32_t>> read_number(sys::Stream& stream) {
  ByteVector four(4);
  const auto read = co_await sys::read_exactly(stream, four);
  if (!read) co_return pass(read);
  co_return load_be32(four);
}

sys::Task<Result<Fields>> read_fields(sys::Stream& stream) {
  const auto count = co_await read_number(stream);
  if (!count) co_return pass(count);
  Fields fields;
  for (std::uint32_t i = 0; i < *count; ++i) {
    const auto size = co_await read_number(stream);
    if (!size) co_return pass(size);
    ByteVector bytes(*size);
    const auto read = co_await sys::read_exactly(stream, bytes);
    if (!read) co_return pass(read);
    fields.emplace_back(as_text(bytes));
  }
  co_return fields;
}

void put_map(Fields& fields, const std::map<std::string, std::string>& map) {
  fields.push_back(std::to_string(map.size()));
  for (const auto& [key, value] : map) {
    fields.push_back(key);
    fields.push_back(value);
  }
}

std::map<std::string, std::string> take_map(const Fields& fields, std::size_t& at) {
  std::map<std::string, std::string> map;
  for (auto left = std::stoul(fields.at(at++)); left > 0; --left, at += 2) map[fields.at(at)] = fields.at(at + 1);
  return map;
}

Fields fields_of(const sys::HttpRequest& request) {
  Fields fields{request.method, request.path, request.body};
  put_map(fields, request.query);
  put_map(fields, request.headers);
  return fields;
}

sys::HttpRequest request_of(const Fields& fields) {
  sys::HttpRequest request;
  request.method = fields.at(0);
  request.path = fields.at(1);
  request.body = fields.at(2);
  std::size_t at = 3;
  request.query = take_map(fields, at);
  request.headers = take_map(fields, at);
  return request;
}

struct Serving {
  Serving(const sys::Executor& executor, sys::HttpHandler handle, sys::HttpLimits bounds)
      : handler(std::move(handle)), limits(bounds), gate(executor) {}
  sys::HttpHandler handler;
  sys::HttpLimits limits;
  std::shared_ptr<TcpListening> listening;
  sys::Gate gate;
};

// The answer and its chunks; an end in order is an empty message.
sys::Task<void> respond(std::shared_ptr<Serving> at, sys::Stream& stream, sys::HttpRequest request) {
  sys::HttpResponse response;
  if (request.body.size() > at->limits.body_bytes) {
    response.status = 413;
    response.body = R"({"error":{"code":"exhausted","message":"the body is larger than this server takes"}})";
  } else {
    response = co_await at->handler(std::move(request));
  }
  response.headers.try_emplace("content-type", "application/json");
  Fields head{std::to_string(response.status), response.body};
  put_map(head, response.headers);
  auto bytes = pack(head);
  auto written = co_await stream.write(bytes);
  while (written && response.next_chunk) {
    const auto chunk = co_await response.next_chunk();
    if (!chunk) co_return;
    if (chunk->empty()) break;
    const Fields one{*chunk};
    bytes = pack(one);
    written = co_await stream.write(bytes);
  }
  const Fields end;
  bytes = pack(end);
  if (written) written = co_await stream.write(bytes);
}

// Returns when the other side is gone.
sys::Task<void> until_gone(sys::Stream& stream) {
  ByteVector nothing(1);
  for (;;) {
    const auto count = co_await stream.read_some(nothing);
    if (!count) co_return;
  }
}

sys::Task<void> answer(std::shared_ptr<Serving> at, Incoming incoming) {
  using namespace boost::asio::experimental::awaitable_operators;
  const auto stream = make_stream(at->gate.executor(), std::move(incoming.connection), 1, {});
  const auto fields = co_await read_fields(*stream);
  if (!fields) co_return;
  auto request = request_of(*fields);
  if (!incoming.peer.name.empty()) request.peer = incoming.peer;
  request.remote = incoming.remote;
  auto either = respond(at, *stream, std::move(request)) || until_gone(*stream);
  co_await std::move(either);
}

sys::Task<void> accept_all(std::shared_ptr<Serving> at) {
  for (;;) {
    auto incoming = co_await TcpListening::accept(at->listening);
    if (!incoming) co_return;
    at->gate.spawn(answer(at, std::move(*incoming)));
  }
}

class SimHttpServer final : public sys::HttpServer {
 public:
  explicit SimHttpServer(std::shared_ptr<Serving> at) : at_(std::move(at)) { at_->gate.spawn(accept_all(at_)); }
  ~SimHttpServer() override { SimHttpServer::close(); }
  [[nodiscard]] std::uint16_t port() const override { return at_->listening->port; }
  void close() override {
    at_->listening->close();
    at_->gate.cancel();
  }

 private:
  std::shared_ptr<Serving> at_;
};

// Errors: invalid_argument where a header would forge another.
Result<> check_headers(const sys::HttpRequest& request) {
  for (const auto& [name, value] : request.headers) {
    if ((name + value).find_first_of("\r\n") != std::string::npos) {
      return fail(Errc::invalid_argument, "header {}: has a line break", name);
    }
  }
  return {};
}

// What is said over a stream that is open. `on_chunk` null: chunks are joined to the body.
sys::Task<Result<sys::HttpResponse>> converse(sys::Clock& clock, std::unique_ptr<sys::Stream> stream,
                                              sys::HttpRequest request, std::string what,
                                              std::function<void(std::string)> on_chunk, Nanos idle_limit) {
  const auto bytes = pack(fields_of(request));
  const auto written = co_await stream->write(bytes);
  if (!written) co_return fail(Errc::unavailable, "{}: {}", what, written.error().message);
  const auto head = co_await read_fields(*stream);
  if (!head) co_return fail(Errc::unavailable, "{}: {}", what, head.error().message);
  sys::HttpResponse response;
  response.status = std::stoi(head->at(0));
  response.body = head->at(1);
  std::size_t at = 2;
  response.headers = take_map(*head, at);
  if (on_chunk) on_chunk(std::exchange(response.body, {}));
  for (;;) {
    auto next = read_fields(*stream);
    const auto chunk = co_await sys::within(clock, idle_limit, what, std::move(next));
    if (chunk && chunk->empty()) break;
    if (!chunk && chunk.error().code == Errc::timed_out) co_return pass(chunk);
    if (!chunk) co_return fail(Errc::unavailable, "{}: {}", what, chunk.error().message);
    if (on_chunk) {
      on_chunk(chunk->at(0));
    } else {
      response.body += chunk->at(0);
    }
  }
  co_return response;
}

std::string name_of(const sys::HttpEndpoint& to, const sys::HttpRequest& request) {
  return fmt::format("{} {}{}", request.method, sys::to_url(to), request.path);
}

// Everything of a call but its limit.
sys::Task<Result<sys::HttpResponse>> exchange(sys::Executor executor, Process& process, std::shared_ptr<Trust> trust,
                                              sys::HttpEndpoint to, sys::HttpRequest request,
                                              std::function<void(std::string)> on_chunk, Nanos idle_limit) {
  const auto sound = check_headers(request);
  if (!sound) co_return pass(sound);
  TcpListening::Admission check = [trust, to](const Identity& shown) -> Result<sys::PeerIdentity> {
    if (to.tls == sys::HttpTls::none) return sys::PeerIdentity{};
    if (shown.name != to.name) return fail(Errc::not_authentic, "certificate of {}: called as {}", shown.name, to.name);
    return trust->check(shown);
  };
  auto dialled = co_await dial_tcp(process, to.host, to.port, std::move(check));
  if (!dialled) co_return pass(dialled);
  std::unique_ptr<sys::Stream> stream = make_stream(executor, std::move(dialled->connection), 0, {});
  auto what = name_of(to, request);
  co_return co_await converse(process.runtime().clock, std::move(stream), std::move(request), std::move(what),
                              std::move(on_chunk), idle_limit);
}

}  // namespace

sys::Task<Result<sys::HttpResponse>> call_gateway(Process& guest, std::string network_namespace, std::string ip,
                                                  sys::HttpRequest request, Nanos limit) {
  constexpr std::uint16_t kPort = 80;
  Host& host = guest.host();
  auto* at = host.listening_on(kPort, network_namespace);
  if (!at) co_return fail(Errc::unavailable, "nobody listens in {}", network_namespace);
  auto connection = Connection::make(host.world(), host, host, true);
  Incoming incoming{connection, {}, ip + ":1024"};
  at->backlog.push_back(std::move(incoming));
  at->changed.notify();
  const auto& executor = guest.runtime().executor;
  std::unique_ptr<sys::Stream> stream = make_stream(executor, std::move(connection), 0, {});
  auto what = request.method + " " + request.path;
  auto talk = converse(guest.runtime().clock, std::move(stream), std::move(request), what, {}, limit);
  co_return co_await sys::within(guest.runtime().clock, limit, what, std::move(talk));
}

SimHttp::SimHttp(sys::Executor executor, Process& process)
    : executor_(std::move(executor)), process_(process), trust_(std::make_shared<Trust>()) {}

Result<std::unique_ptr<sys::HttpServer>> SimHttp::serve(const sys::HttpListen& where, sys::HttpHandler handler) {
  if (!where.network_namespace.empty() && !process_.host().has_gateway(where.network_namespace)) {
    return fail(Errc::io, "serve {} port {} in network namespace {}: ENOENT No such file or directory", where.host,
                where.port, where.network_namespace);
  }
  auto serving = std::make_shared<Serving>(executor_, std::move(handler), where.limits);
  // A client needs no certificate; one that it shows must be good.
  TcpListening::Admission admit = [trust = trust_,
                                   tls = where.tls](const Identity& shown) -> Result<sys::PeerIdentity> {
    if (tls == sys::HttpTls::none || shown.signer.empty()) return sys::PeerIdentity{};
    return trust->check(shown);
  };
  auto listening = TcpListening::open(executor_, process_, where.port, std::move(admit), where.network_namespace);
  if (!listening) return pass(listening);
  serving->listening = std::move(*listening);
  return std::make_unique<SimHttpServer>(std::move(serving));
}

sys::Task<Result<sys::HttpResponse>> SimHttp::call(sys::HttpEndpoint to, sys::HttpRequest request, Nanos limit) {
  auto what = name_of(to, request);
  auto talk = exchange(executor_, process_, trust_, std::move(to), std::move(request), {}, limit);
  co_return co_await sys::within(process_.runtime().clock, limit, std::move(what), std::move(talk));
}

sys::Task<Result<sys::HttpResponse>> SimHttp::watch(sys::HttpEndpoint to, sys::HttpRequest request, Nanos idle_limit,
                                                    std::function<void(std::string)> on_chunk) {
  return exchange(executor_, process_, trust_, std::move(to), std::move(request), std::move(on_chunk), idle_limit);
}

}  // namespace godwit::sim
