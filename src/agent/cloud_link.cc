#include "agent/cloud_link.h"

namespace godwit::agent {
namespace {

constexpr Millis kCallLimit{5'000};     // of a short call; a long poll has its own wait on top
constexpr Seconds kImageCallLimit{60};  // of up to 4 MiB, on the cloud's LAN

}  // namespace

// The body of a 2xx answer.
sys::Task<Result<std::string>> CloudLink::call(sys::HttpEndpoint to, std::string method, std::string path,
                                               std::string body, Nanos limit) {
  sys::HttpRequest request;
  request.method = std::move(method);
  request.path = std::move(path);
  request.body = std::move(body);
  const auto what = fmt::format("{} {}{}", request.method, sys::to_url(to), request.path);
  auto response = co_await runtime_.http.call(std::move(to), std::move(request), limit);
  if (!response) co_return fail(response, what);
  if (response->status / 100 != 2) {
    co_return std::unexpected(wire::error_of(response->status, response->body).within(what));
  }
  co_return std::move(response->body);
}

template <class Answer>
sys::Task<Result<Answer>> CloudLink::post(sys::HttpEndpoint to, std::string path, std::string body, Nanos limit) {
  const auto what = fmt::format("POST {}{}", sys::to_url(to), path);
  const auto response = co_await call(std::move(to), "POST", std::move(path), std::move(body), limit);
  if (!response) co_return pass(response);
  auto answer = wire::decode<Answer>(*response);
  if (!answer) co_return fail(answer, what);
  co_return std::move(*answer);
}

sys::Task<Result<wire::DesiredState>> CloudLink::sync(wire::HostReport report) {
  const auto limit = Millis{report.wait_ms} + kCallLimit;
  co_return co_await post<wire::DesiredState>(own_, "/v1/agent/sync", wire::encode(report), limit);
}

sys::Task<Result<>> CloudLink::observe(wire::Observation observation) {
  const auto answer = co_await call(own_, "POST", "/v1/agent/observation", wire::encode(observation), kCallLimit);
  if (!answer) co_return pass(answer);
  co_return Result<>{};
}

sys::Task<Result<std::string>> CloudLink::image_call(std::string method, std::string path, std::string body) {
  return call(own_, std::move(method), std::move(path), std::move(body), kImageCallLimit);
}

sys::Task<Result<wire::RedeemAnswer>> CloudLink::redeem(wire::RedeemRequest request) {
  co_return co_await post<wire::RedeemAnswer>(own_, "/v1/agent/tickets/redeem", wire::encode(request), kCallLimit);
}

sys::Task<Result<wire::Decision>> CloudLink::release(std::string migration) {
  const auto answer =
      co_await post<wire::DecisionAnswer>(own_, "/v1/agent/migrations/" + migration + "/release", "{}", kCallLimit);
  if (!answer) co_return pass(answer);
  co_return answer->decision;
}

sys::Task<Result<wire::Decision>> CloudLink::abort(std::string migration) {
  const auto answer =
      co_await post<wire::DecisionAnswer>(own_, "/v1/agent/migrations/" + migration + "/abort", "{}", kCallLimit);
  if (!answer) co_return pass(answer);
  co_return answer->decision;
}

sys::Task<Result<wire::DecisionAnswer>> CloudLink::resolve(std::string api_url, std::string cloud,
                                                           std::string migration) {
  auto endpoint = sys::parse_endpoint(api_url, "api." + cloud + ".godwit");
  if (!endpoint) co_return pass(endpoint);
  if (endpoint->tls != sys::HttpTls::server) {
    co_return fail(Errc::invalid_argument, "cloud {} at {}: only https is spoken between clouds", cloud, api_url);
  }
  co_return co_await post<wire::DecisionAnswer>(std::move(*endpoint), "/v1/peer/migrations/" + migration + "/resolve",
                                                "{}", kCallLimit);
}

}  // namespace godwit::agent
