// The client side of HTTP. Connections are kept for the next call to the same endpoint.
#pragma once

#include "os/tls.h"
#include "sys/http.h"

#include <map>

namespace godwit::os {

// Shared by the calls in flight, which may outlive whoever made it.
class HttpClient {
 public:
  HttpClient(sys::Clock& clock, std::shared_ptr<Tls> tls) : clock_(clock), tls_(std::move(tls)) {}
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // `idle_limit` bounds the wait for each part of the answer; `on_chunk` may be empty.
  // A kept connection that died unused is replaced once, except for POST: the server may have begun that.
  [[nodiscard]] static sys::Task<Result<sys::HttpResponse>> call(std::shared_ptr<HttpClient> self, sys::HttpEndpoint to,
                                                                 sys::HttpRequest request, Nanos idle_limit,
                                                                 std::function<void(std::string)> on_chunk);
  // Forgets the kept connections: they were made under another identity or trust.
  void drop_connections() {
    kept_.clear();
    ++generation_;
  }
  [[nodiscard]] std::size_t kept() const { return kept_.size(); }

 private:
  struct Connection {
    std::unique_ptr<sys::Stream> stream;
    int socket{-1};  // the stream's own
    bool kept{false};
    std::uint64_t generation{0};
    TimePoint idle_since{};
  };
  struct Exchange;

  [[nodiscard]] std::optional<Connection> take_kept(const std::string& endpoint);
  void keep(const std::string& endpoint, Connection connection);
  void drop_old();
  [[nodiscard]] sys::Task<Result<Connection>> connect(sys::HttpEndpoint to);
  [[nodiscard]] sys::Task<Result<sys::HttpResponse>> exchange(Exchange& exchange, Connection connection);

  sys::Clock& clock_;
  std::shared_ptr<Tls> tls_;
  std::uint64_t generation_{0};  // of identity and trust: what was connected under an older one is not kept
  std::multimap<std::string, Connection> kept_;  // by endpoint
};

}  // namespace godwit::os
