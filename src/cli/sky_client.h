// Calls of sky's API (docs/api/sky.yaml). Typed, one attempt each.
#pragma once

#include "sys/http.h"
#include "wire/cluster.h"

#include <functional>
#include <string>
#include <vector>

namespace godwit::cli {

// A value; `http` outlives it and its calls. Errors: sky's own, as it says them; unavailable with the remedy where sky
// itself can't be reached.
class SkyClient {
 public:
  SkyClient(sys::Http& http, sys::HttpEndpoint endpoint, std::string token)
      : http_(&http), endpoint_(std::move(endpoint)), token_(std::move(token)) {}

  template <class T>
  [[nodiscard]] sys::Task<Result<T>> get(std::string path) const {
    return ask<T>(*this, "GET", std::move(path), "");
  }
  template <class T, class Body>
  [[nodiscard]] sys::Task<Result<T>> post(std::string path, const Body& body) const {
    return ask<T>(*this, "POST", std::move(path), wire::encode(body));
  }
  template <class T, class Body>
  [[nodiscard]] sys::Task<Result<T>> put(std::string path, const Body& body) const {
    return ask<T>(*this, "PUT", std::move(path), wire::encode(body));
  }
  template <class T>
  [[nodiscard]] sys::Task<Result<T>> remove(std::string path) const {
    return ask<T>(*this, "DELETE", std::move(path), "");
  }

  // Each message of a watch is given to `on_message` until sky ends it. Errors: also protocol.
  template <class T>
  [[nodiscard]] sys::Task<Result<>> watch(std::string path, std::map<std::string, std::string> query,
                                          std::function<void(T)> on_message) const {
    return follow<T>(*this, std::move(path), std::move(query), std::move(on_message));
  }

 private:
  template <class T>
  static sys::Task<Result<T>> ask(SkyClient self, std::string method, std::string path, std::string body);
  template <class T>
  static sys::Task<Result<>> follow(SkyClient self, std::string path, std::map<std::string, std::string> query,
                                    std::function<void(T)> on_message);
  [[nodiscard]] sys::Task<Result<std::string>> call(std::string method, std::string path, std::string body) const;
  [[nodiscard]] sys::Task<Result<>> lines(std::string path, std::map<std::string, std::string> query,
                                          std::function<Result<>(std::string_view)> on_line) const;
  [[nodiscard]] sys::HttpRequest request(std::string method, std::string path) const;
  [[nodiscard]] std::unexpected<Error> unreachable(const Error& error) const;

  sys::Http* http_;
  sys::HttpEndpoint endpoint_;
  std::string token_;  // a secret
};

template <class T>
sys::Task<Result<T>> SkyClient::ask(SkyClient self, std::string method, std::string path, std::string body) {
  const auto text = co_await self.call(std::move(method), std::move(path), std::move(body));
  if (!text) co_return pass(text);
  auto answer = wire::decode<T>(*text);
  if (!answer) co_return fail(Errc::protocol, "sky's answer: {}", answer.error().message);
  co_return std::move(*answer);
}

template <class T>
sys::Task<Result<>> SkyClient::follow(SkyClient self, std::string path, std::map<std::string, std::string> query,
                                      std::function<void(T)> on_message) {
  auto read = [on_message = std::move(on_message)](std::string_view line) -> Result<> {
    auto message = wire::decode<T>(line);
    if (!message) return fail(Errc::protocol, "sky's answer: {}", message.error().message);
    on_message(std::move(*message));
    return {};
  };
  std::function<Result<>(std::string_view)> on_line = std::move(read);
  co_return co_await self.lines(std::move(path), std::move(query), std::move(on_line));
}

}  // namespace godwit::cli
