#include "os/http.h"

#include "sys/task.h"

namespace godwit::os {
namespace {

constexpr std::size_t kReadBytes = 32UL * 1024;

}  // namespace

SystemHttp::SystemHttp(sys::Executor executor, sys::Clock& clock, Log log, HttpTimes times)
    : executor_(std::move(executor)),
      clock_(clock),
      log_(std::move(log)),
      times_(times),
      tls_(std::make_shared<Tls>(TlsOptions{.client_must_identify = false, .read_bytes = kReadBytes})),
      client_(std::make_shared<HttpClient>(clock_, tls_)) {}

Result<> SystemHttp::use_identity(const TlsIdentity& identity) {
  client_->drop_connections();
  return tls_->use_identity(identity);
}

void SystemHttp::trust(std::vector<sys::TrustedCa> authorities) {
  const auto trusted = tls_->trust(authorities);
  if (!trusted) log_.error("trust the CAs of {} clouds: {}", authorities.size(), trusted.error().message);
  client_->drop_connections();
}

Result<std::unique_ptr<sys::HttpServer>> SystemHttp::serve(const sys::HttpListen& where, sys::HttpHandler handler) {
  return serve_http(executor_, clock_, log_, tls_, where, std::move(handler), times_);
}

sys::Task<Result<sys::HttpResponse>> SystemHttp::call(sys::HttpEndpoint to, sys::HttpRequest request, Nanos limit) {
  auto what = fmt::format("{} {}{}", request.method, sys::to_url(to), request.path);
  auto call = HttpClient::call(client_, std::move(to), std::move(request), limit, {});
  return sys::within(clock_, limit, std::move(what), std::move(call));
}

sys::Task<Result<sys::HttpResponse>> SystemHttp::watch(sys::HttpEndpoint to, sys::HttpRequest request, Nanos idle_limit,
                                                       std::function<void(std::string)> on_chunk) {
  return HttpClient::call(client_, std::move(to), std::move(request), idle_limit, std::move(on_chunk));
}

}  // namespace godwit::os
