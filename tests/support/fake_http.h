// HTTP without a wire: a call is a call of the handler that stands for the host and port.
#pragma once

#include "sys/http.h"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace godwit::testing {

class FakeHttp final : public sys::Http {
 public:
  struct Line {
    std::string host;
    std::string method;
    std::string path;
  };

  explicit FakeHttp(sys::Clock& clock) : clock_(clock) {}

  std::map<std::string, sys::HttpHandler> hosts;  // by host
  std::set<std::string> cut;                      // hosts that are silent: calls time out
  int lose_answers{0};  // of the next that many calls that change something: carried out, but not heard of
  std::vector<Line> calls;
  std::vector<sys::TrustedCa> trusted;

  void trust(std::vector<sys::TrustedCa> authorities) override { trusted = std::move(authorities); }
  [[nodiscard]] Result<std::unique_ptr<sys::HttpServer>> serve(const sys::HttpListen&, sys::HttpHandler) override {
    return fail(Errc::unsupported, "the fake serves by its table of hosts");
  }
  [[nodiscard]] sys::Task<Result<sys::HttpResponse>> call(sys::HttpEndpoint to, sys::HttpRequest request,
                                                          Nanos limit) override {
    auto response = co_await answer(std::move(to), std::move(request), limit);
    while (response && response->next_chunk) {
      const auto chunk = co_await response->next_chunk();
      if (!chunk || chunk->empty()) break;
      response->body += *chunk;
    }
    co_return response;
  }
  [[nodiscard]] sys::Task<Result<sys::HttpResponse>> watch(sys::HttpEndpoint to, sys::HttpRequest request,
                                                           Nanos idle_limit,
                                                           std::function<void(std::string)> on_chunk) override {
    auto response = co_await answer(std::move(to), std::move(request), idle_limit);
    while (response && response->next_chunk) {
      auto chunk = co_await response->next_chunk();
      if (!chunk) co_return pass(chunk);
      if (chunk->empty()) break;
      on_chunk(std::move(*chunk));
    }
    co_return response;
  }

 private:
  sys::Task<Result<sys::HttpResponse>> answer(sys::HttpEndpoint to, sys::HttpRequest request, Nanos limit) {
    co_await boost::asio::post(co_await boost::asio::this_coro::executor, boost::asio::use_awaitable);
    calls.push_back({to.host, request.method, request.path});
    if (cut.contains(to.host)) {
      co_await clock_.sleep_for(limit);
      co_return fail(Errc::timed_out, "no answer within {:.0f} ms", to_ms(limit));
    }
    const auto found = hosts.find(to.host);
    if (found == hosts.end()) co_return fail(Errc::unavailable, "connection refused");
    const bool lost = request.method != "GET" && lose_answers > 0;
    const auto handler = found->second;
    auto response = co_await handler(std::move(request));
    if (lost) {
      --lose_answers;
      co_return fail(Errc::unavailable, "connection reset");
    }
    co_return response;
  }

  sys::Clock& clock_;
};

}  // namespace godwit::testing
