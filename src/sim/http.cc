#include "sim/http.h"

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

sys::Task<void> answer(std::shared_ptr<Serving> at, Incoming incoming) {
  const auto stream = make_stream(at->gate.executor(), std::move(incoming.connection), 1, {});
  const auto fields = co_await read_fields(*stream);
  if (!fields) co_return;
  auto request = request_of(*fields);
  if (!incoming.peer.name.empty()) request.peer = incoming.peer;
  request.remote = incoming.remote;
  sys::HttpResponse response;
  if (request.body.size() > at->limits.body_bytes) {
    response.status = 413;
  } else {
    response = co_await at->handler(std::move(request));
  }
  Fields head{std::to_string(response.status), response.body};
  put_map(head, response.headers);
  const auto bytes = pack(head);
  auto written = co_await stream->write(bytes);
  while (written && response.next_chunk) {
    const auto chunk = co_await response.next_chunk();
    if (!chunk || chunk->empty()) break;
    const Fields one{*chunk};
    const auto packed = pack(one);
    written = co_await stream->write(packed);
  }
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

// Everything of a call but its limit. `on_chunk` null: chunks are joined to the body.
sys::Task<Result<sys::HttpResponse>> exchange(sys::Executor executor, Process& process, std::shared_ptr<Trust> trust,
                                              sys::HttpEndpoint to, sys::HttpRequest request,
                                              std::function<void(std::string)> on_chunk, Nanos idle_limit) {
  TcpListening::Admission check = [trust, to](const Identity& shown) -> Result<sys::PeerIdentity> {
    if (to.tls == sys::HttpTls::none) return sys::PeerIdentity{};
    if (shown.name != to.name) return fail(Errc::not_authentic, "certificate of {}: called as {}", shown.name, to.name);
    return trust->check(shown);
  };
  auto dialled = co_await dial_tcp(process, to.host, to.port, std::move(check));
  if (!dialled) co_return pass(dialled);
  const auto stream = make_stream(executor, std::move(dialled->connection), 0, {});
  const auto bytes = pack(fields_of(request));
  const auto what = fmt::format("{} {}{}", request.method, sys::to_url(to), request.path);
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
    const auto chunk = co_await sys::within(process.runtime().clock, idle_limit, what, std::move(next));
    if (!chunk && chunk.error().code == Errc::closed) break;
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

}  // namespace

SimHttp::SimHttp(sys::Executor executor, Process& process)
    : executor_(std::move(executor)), process_(process), trust_(std::make_shared<Trust>()) {}

Result<std::unique_ptr<sys::HttpServer>> SimHttp::serve(const sys::HttpListen& where, sys::HttpHandler handler) {
  auto serving = std::make_shared<Serving>(executor_, std::move(handler), where.limits);
  // A client needs no certificate; one that it shows must be good.
  TcpListening::Admission admit = [trust = trust_,
                                   tls = where.tls](const Identity& shown) -> Result<sys::PeerIdentity> {
    if (tls == sys::HttpTls::none || shown.signer.empty()) return sys::PeerIdentity{};
    return trust->check(shown);
  };
  auto listening = TcpListening::open(executor_, process_, where.port, std::move(admit));
  if (!listening) return pass(listening);
  serving->listening = std::move(*listening);
  return std::make_unique<SimHttpServer>(std::move(serving));
}

sys::Task<Result<sys::HttpResponse>> SimHttp::call(sys::HttpEndpoint to, sys::HttpRequest request, Nanos limit) {
  const auto what = fmt::format("{} {}{}", request.method, sys::to_url(to), request.path);
  auto talk = exchange(executor_, process_, trust_, std::move(to), std::move(request), {}, limit);
  co_return co_await sys::within(process_.runtime().clock, limit, what, std::move(talk));
}

sys::Task<Result<sys::HttpResponse>> SimHttp::watch(sys::HttpEndpoint to, sys::HttpRequest request, Nanos idle_limit,
                                                    std::function<void(std::string)> on_chunk) {
  return exchange(executor_, process_, trust_, std::move(to), std::move(request), std::move(on_chunk), idle_limit);
}

}  // namespace godwit::sim
