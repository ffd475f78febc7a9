#include "cli/sky_client.h"

#include "sys/lines.h"

#include <memory>

namespace godwit::cli {
namespace {

constexpr Seconds kCallLimit{30};  // sky may ask a cloud, which has 10 s
constexpr Seconds kIdleLimit{45};  // of a watch: three heartbeats
constexpr std::size_t kLineLimit = 4UL * 1024 * 1024;

// Gives each line of a watch's chunks on, until one is refused. Empty ones are heartbeats.
struct Watch {
  explicit Watch(std::function<Result<>(std::string_view)> each) : on_line(std::move(each)) {}

  void add(std::string_view chunk) {
    lines.add(chunk);
    while (outcome) {
      const auto line = lines.next();
      if (!line) outcome = fail(line, "sky's answer");
      if (!line || !*line) return;
      if (!(*line)->empty()) outcome = on_line(**line);
    }
  }

  std::function<Result<>(std::string_view)> on_line;
  sys::LineBuffer lines{kLineLimit};
  Result<> outcome;
};

}  // namespace

sys::HttpRequest SkyClient::request(std::string method, std::string path) const {
  sys::HttpRequest request;
  request.method = std::move(method);
  request.path = std::move(path);
  request.headers["authorization"] = "Bearer " + token_;
  return request;
}

std::unexpected<Error> SkyClient::unreachable(const Error& error) const {
  const auto where = endpoint_.host.starts_with('/') ? "unix:" + endpoint_.host : sys::to_url(endpoint_);
  return fail(error.code == Errc::timed_out ? Errc::timed_out : Errc::unavailable,
              "sky can't be reached at {}: {} (start it with `godwit sky run`, or say where it is with GODWIT_SKY)",
              where, error.message);
}

sys::Task<Result<std::string>> SkyClient::call(std::string method, std::string path, std::string body) const {
  auto wanted = request(std::move(method), std::move(path));
  wanted.body = std::move(body);
  auto answer = co_await http_->call(endpoint_, std::move(wanted), kCallLimit);
  if (!answer) co_return unreachable(answer.error());
  if (answer->status / 100 != 2) co_return std::unexpected(wire::error_of(answer->status, answer->body));
  co_return std::move(answer->body);
}

sys::Task<Result<>> SkyClient::lines(std::string path, std::map<std::string, std::string> query,
                                     std::function<Result<>(std::string_view)> on_line) const {
  auto wanted = request("GET", std::move(path));
  wanted.query = std::move(query);
  wanted.query["watch"] = "1";
  const auto watch = std::make_shared<Watch>(std::move(on_line));  // chunks may come until the call has ended
  std::function<void(std::string)> on_chunk = [watch](std::string chunk) { watch->add(chunk); };
  const auto answer = co_await http_->watch(endpoint_, std::move(wanted), kIdleLimit, std::move(on_chunk));
  if (!answer) co_return unreachable(answer.error());
  if (answer->status / 100 != 2) co_return std::unexpected(wire::error_of(answer->status, answer->body));
  co_return watch->outcome;
}

}  // namespace godwit::cli
