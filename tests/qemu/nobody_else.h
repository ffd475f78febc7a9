// Seams of a test that has no network.
#pragma once

#include "sys/runtime.h"

namespace godwit::testing {

class NoPeers final : public sys::PeerNetwork {
 public:
  void trust(std::vector<sys::TrustedCa>) override {}
  sys::Task<Result<std::unique_ptr<sys::PeerStream>>> dial(sys::PeerAddress) override {
    co_return fail(Errc::unsupported, "no peers here");
  }
  Result<std::unique_ptr<sys::PeerListener>> listen(const std::string&, std::uint16_t) override {
    return fail(Errc::unsupported, "no peers here");
  }
};

class NoHttp final : public sys::Http {
 public:
  void trust(std::vector<sys::TrustedCa>) override {}
  Result<std::unique_ptr<sys::HttpServer>> serve(const sys::HttpListen&, sys::HttpHandler) override {
    return fail(Errc::unsupported, "no HTTP here");
  }
  sys::Task<Result<sys::HttpResponse>> call(sys::HttpEndpoint, sys::HttpRequest, Nanos) override {
    co_return fail(Errc::unsupported, "no HTTP here");
  }
  sys::Task<Result<sys::HttpResponse>> watch(sys::HttpEndpoint, sys::HttpRequest, Nanos,
                                             std::function<void(std::string)>) override {
    co_return fail(Errc::unsupported, "no HTTP here");
  }
};

}  // namespace godwit::testing
