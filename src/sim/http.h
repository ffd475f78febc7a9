// HTTP between simulated hosts: the same refusals as the real one, without its bytes.
#pragma once

#include "sim/peer_network.h"
#include "sys/http.h"

namespace godwit::sim {

// A request of a guest to the gateway of its network on its own host, which sees it come from `ip`.
[[nodiscard]] sys::Task<Result<sys::HttpResponse>> call_gateway(Process& guest, std::string network_namespace,
                                                                std::string ip, sys::HttpRequest request, Nanos limit);

class SimHttp final : public sys::Http {
 public:
  SimHttp(sys::Executor executor, Process& process);
  void trust(std::vector<sys::TrustedCa> authorities) override { trust_->set(std::move(authorities)); }
  [[nodiscard]] Result<std::unique_ptr<sys::HttpServer>> serve(const sys::HttpListen& where,
                                                               sys::HttpHandler handler) override;
  [[nodiscard]] sys::Task<Result<sys::HttpResponse>> call(sys::HttpEndpoint to, sys::HttpRequest request,
                                                          Nanos limit) override;
  [[nodiscard]] sys::Task<Result<sys::HttpResponse>> watch(sys::HttpEndpoint to, sys::HttpRequest request,
                                                           Nanos idle_limit,
                                                           std::function<void(std::string)> on_chunk) override;

 private:
  sys::Executor executor_;
  Process& process_;
  std::shared_ptr<Trust> trust_;  // shared with servers
};

}  // namespace godwit::sim
