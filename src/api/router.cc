#include "api/router.h"

#include "wire/cloud_api.h"

#include <set>

namespace godwit::api {
namespace {

constexpr std::size_t kPathSegments = 16;

std::vector<std::string_view> segments(std::string_view path) {
  std::vector<std::string_view> out;
  while (!path.empty() && out.size() <= kPathSegments) {
    path.remove_prefix(1);  // the slash
    const auto end = std::min(path.find('/'), path.size());
    out.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return out;
}

std::optional<std::map<std::string, std::string>> match(std::string_view pattern, std::string_view path) {
  if (path.empty() || path.front() != '/') return {};
  const auto want = segments(pattern);
  const auto have = segments(path);
  if (want.size() != have.size()) return {};
  std::map<std::string, std::string> in_path;
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (want[i].starts_with('{')) {
      if (have[i].empty() || have[i].size() > 128) return {};
      in_path.emplace(want[i].substr(1, want[i].size() - 2), have[i]);
    } else if (want[i] != have[i]) {
      return {};
    }
  }
  return in_path;
}

sys::HttpResponse not_allowed(const std::string& method, const std::set<std::string>& methods) {
  std::string allow;
  for (const auto& each : methods) allow += (allow.empty() ? "" : ", ") + each;
  auto response = error_response({Errc::unsupported, fmt::format("{}: only {} can be done here", method, allow)});
  response.status = 405;
  response.headers["allow"] = allow;
  return response;
}

}  // namespace

std::string Call::bearer_token() const {
  const auto header = request.headers.find("authorization");
  if (header == request.headers.end() || !header->second.starts_with("Bearer ")) return {};
  return header->second.substr(7);
}

sys::HttpResponse error_response(const Error& error) {
  return {wire::http_status_of(error.code), wire::error_body(error), {}, {}};
}

sys::Task<sys::HttpResponse> Router::handle(sys::HttpRequest request) const {
  std::set<std::string> methods;
  for (const auto& route : routes_) {
    auto in_path = match(route.pattern, request.path);
    if (!in_path) continue;
    methods.insert(route.method);
    if (route.method != request.method) continue;
    Call call;
    call.request = std::move(request);
    call.in_path = std::move(*in_path);
    auto answer = co_await route.handler(std::move(call));
    if (answer) co_return std::move(*answer);
    co_return error_response(answer.error());
  }
  if (!methods.empty()) co_return not_allowed(request.method.substr(0, 16), methods);
  co_return error_response({Errc::not_found, "there is nothing at " + request.path.substr(0, 128)});
}

}  // namespace godwit::api
