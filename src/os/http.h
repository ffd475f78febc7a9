// sys::Http on Linux.
#pragma once

#include "base/log.h"
#include "os/http_client.h"
#include "os/http_server.h"
#include "sys/http.h"

namespace godwit::os {

class SystemHttp final : public sys::Http {
 public:
  // The clock outlives the object, its servers and the calls in flight.
  SystemHttp(sys::Executor executor, sys::Clock& clock, Log log, HttpTimes times = {});

  // What servers show, and calls where they are asked. Errors: invalid_argument.
  [[nodiscard]] Result<> use_identity(const TlsIdentity& identity);

  // A set that cannot be parsed changes nothing, and is logged.
  void trust(std::vector<sys::TrustedCa> authorities) override;
  // A host that starts with "/" is the path of a unix socket. Errors: conflict (address in use; HTTPS without
  // identity).
  [[nodiscard]] Result<std::unique_ptr<sys::HttpServer>> serve(const sys::HttpListen& where,
                                                               sys::HttpHandler handler) override;
  // endpoint.host: an address, a name that the resolver knows, or the path of a unix socket.
  [[nodiscard]] sys::Task<Result<sys::HttpResponse>> call(sys::HttpEndpoint to, sys::HttpRequest request,
                                                          Nanos limit) override;
  // A response without chunks (an error) has its body. When the server ends the watch in order, so does this.
  [[nodiscard]] sys::Task<Result<sys::HttpResponse>> watch(sys::HttpEndpoint to, sys::HttpRequest request,
                                                           Nanos idle_limit,
                                                           std::function<void(std::string)> on_chunk) override;

  [[nodiscard]] std::size_t kept_connections() const { return client_->kept(); }

 private:
  sys::Executor executor_;
  sys::Clock& clock_;
  Log log_;
  HttpTimes times_;
  std::shared_ptr<Tls> tls_;            // shared with servers and calls, which may outlive us
  std::shared_ptr<HttpClient> client_;  // shared with its calls
};

}  // namespace godwit::os
