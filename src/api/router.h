// The routes of one API as data: what is served is what the OpenAPI document says (api/openapi.h), for there is no
// second list. Authentication comes before the body is read, and the body before the work.
#pragma once

#include "api/schema.h"
#include "sys/http.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace godwit::api {

constexpr std::size_t kUsualBodyBytes = 256UL * 1024;  // of user data at most 64 KiB, tickets and keys
constexpr std::size_t kLargeBodyBytes = 4UL * 1024 * 1024;

// Who may call, as the document says it. The route's handler is what checks.
BOOST_DEFINE_ENUM_CLASS(Caller, anyone, user, operator_user, host, destination_host, joining_host)

struct Call {
  sys::HttpRequest request;
  std::map<std::string, std::string> in_path;  // "id" of "/v1/instances/{id}"

  [[nodiscard]] const std::string& id() const { return in_path.at("id"); }
  // Of "Authorization: Bearer …"; empty when there is none.
  [[nodiscard]] std::string bearer_token() const;
};

struct Route {
  std::string method;
  std::string pattern;
  Caller caller{Caller::user};
  std::string summary;
  std::optional<TypeRef> request{};
  TypeRef answer{};
  std::string bytes_in{};   // what the body is where it is no JSON, in words
  std::string bytes_out{};  // and the answer
  std::string stream_of{};  // a query parameter that makes the answer a stream of JSON lines
  std::function<sys::Task<Result<sys::HttpResponse>>(Call)> handler{};
};

class Router {
 public:
  // The reference is valid until the next add().
  Route& add(Route route) { return routes_.emplace_back(std::move(route)); }
  [[nodiscard]] const std::vector<Route>& routes() const { return routes_; }

  // 404 for a path that no route has, 405 for a method that its routes don't; every error with a JSON body.
  [[nodiscard]] sys::Task<sys::HttpResponse> handle(sys::HttpRequest request) const;

 private:
  std::vector<Route> routes_;
};

[[nodiscard]] sys::HttpResponse error_response(const Error& error);

// Where a route has no body to read or to answer.
struct Nothing {};
BOOST_DESCRIBE_STRUCT(Nothing, (), ())

template <class T>
[[nodiscard]] Result<T> decode_body(const Call& call, std::size_t limit_bytes = kUsualBodyBytes) {
  if constexpr (std::is_same_v<T, Nothing>) {
    return T{};
  } else {
    auto body = wire::decode<T>(call.request.body, limit_bytes);
    if (!body) return fail(body, call.request.method + " " + call.request.path + ": the body");
    return body;
  }
}

template <class T>
[[nodiscard]] Result<sys::HttpResponse> encode_answer(const Result<T>& answer) {
  if (!answer) return pass(answer);
  if constexpr (std::is_void_v<T>) {
    return sys::HttpResponse{200, "{}", {}, {}};
  } else {
    return sys::HttpResponse{200, wire::encode(*answer), {}, {}};
  }
}

}  // namespace godwit::api
