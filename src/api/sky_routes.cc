#include "api/sky_routes.h"

#include "api/route_table.h"
#include "api/sky_watch.h"
#include "crypto/token.h"

#include <set>

namespace godwit::api {
namespace {

constexpr std::size_t kWatchedAtOnce = 256;
constexpr std::string_view kVersion = "0.1.0";

template <class T>
sys::HttpResponse answer(const T& message, int status = 200) {
  sys::HttpResponse response;
  response.status = status;
  response.body = wire::encode(message);
  return response;
}

sys::HttpResponse done() {
  sys::HttpResponse response;
  response.body = "{}";
  return response;
}

sys::HttpResponse refusal(const Error& error) {
  sys::HttpResponse response;
  response.status = wire::http_status_of(error.code);
  response.body = wire::error_body(error);
  return response;
}

bool is_set(const sys::HttpRequest& request, const std::string& name) {
  const auto found = request.query.find(name);
  return found != request.query.end() && found->second != "0" && found->second != "false";
}

// "a,b": without repetitions.
std::vector<std::string> words_of(std::string_view text) {
  std::set<std::string> words;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    if (comma > 0) words.emplace(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return {words.begin(), words.end()};
}

}  // namespace

struct SkyRoutes::Entry {
  std::string_view method;
  std::string_view pattern;
  sys::Task<Answer> (SkyRoutes::*handler)(sys::HttpRequest, Parameters);
};

const std::vector<SkyRoutes::Entry>& SkyRoutes::table() {
  static const std::vector<Entry> entries{
      {"GET", "/v1/sky", &SkyRoutes::about},
      {"GET", "/v1/accounts", &SkyRoutes::list_accounts},
      {"PUT", "/v1/accounts/{cloud}", &SkyRoutes::put_account},
      {"DELETE", "/v1/accounts/{cloud}", &SkyRoutes::remove_account},
      {"GET", "/v1/hosts", &SkyRoutes::list_hosts},
      {"GET", "/v1/networks", &SkyRoutes::list_networks},
      {"GET", "/v1/clusters", &SkyRoutes::list_clusters},
      {"POST", "/v1/clusters", &SkyRoutes::create_cluster},
      {"GET", "/v1/clusters/{name}", &SkyRoutes::show_cluster},
      {"DELETE", "/v1/clusters/{name}", &SkyRoutes::delete_cluster},
      {"POST", "/v1/clusters/{name}/migrate", &SkyRoutes::migrate_cluster},
      {"GET", "/v1/instances/{id}", &SkyRoutes::show_instance},
      {"DELETE", "/v1/instances/{id}", &SkyRoutes::terminate_instance},
      {"POST", "/v1/instances/{id}/migrate", &SkyRoutes::migrate_instance},
      {"POST", "/v1/instances/{id}/resolve", &SkyRoutes::resolve_instance},
      {"GET", "/v1/migrations", &SkyRoutes::list_migrations},
      {"GET", "/v1/migrations/{id}", &SkyRoutes::show_migration},
      {"POST", "/v1/migrations/{id}/cancel", &SkyRoutes::cancel_migration},
  };
  return entries;
}

std::vector<SkyRoute> SkyRoutes::routes() {
  std::vector<SkyRoute> out;
  for (const auto& entry : table()) out.push_back({entry.method, entry.pattern});
  return out;
}

SkyRoutes::SkyRoutes(sys::Runtime& runtime, sky::Sky& sky, std::string_view token)
    : runtime_(runtime), sky_(sky), token_digest_(crypto::token_digest(token)) {}

bool SkyRoutes::is_user(const sys::HttpRequest& request) const {
  constexpr std::string_view kScheme = "Bearer ";
  const auto found = request.headers.find("authorization");
  if (found == request.headers.end() || !found->second.starts_with(kScheme)) return false;
  return crypto::token_matches(std::string_view(found->second).substr(kScheme.size()), token_digest_);
}

sys::Task<sys::HttpResponse> SkyRoutes::handle(sys::HttpRequest request) {
  if (!is_user(request)) {
    co_return refusal(
        {Errc::not_authentic, "the call does not carry sky's token (it is in the file that sky run names)"});
  }
  bool path_known = false;
  for (const auto& entry : table()) {
    const auto match = match_route(entry.pattern, request.path);
    if (!match) continue;
    path_known = true;
    if (entry.method != request.method) continue;
    auto outcome = co_await (this->*entry.handler)(std::move(request), match->parameters);
    if (!outcome) co_return refusal(outcome.error());
    co_return std::move(*outcome);
  }
  auto response = refusal({Errc::not_found, fmt::format("{} {}: there is no such call (docs/api/sky.yaml has them all)",
                                                        request.method.substr(0, 16), request.path.substr(0, 128))});
  if (path_known) response.status = 405;
  co_return response;
}

// ---- accounts, and what their clouds have

sys::Task<SkyRoutes::Answer> SkyRoutes::about(sys::HttpRequest, Parameters) {
  sys::HttpResponse response;
  response.body = wire::print_json(wire::json::object{{"version", kVersion}});
  co_return response;
}

sys::Task<SkyRoutes::Answer> SkyRoutes::list_accounts(sys::HttpRequest, Parameters) {
  const auto accounts = co_await sky_.accounts();
  co_return answer(accounts);
}

sys::Task<SkyRoutes::Answer> SkyRoutes::put_account(sys::HttpRequest request, Parameters path) {
  auto account = wire::decode<wire::Account>(request.body);
  if (!account) co_return fail(account, "put account");
  if (account->cloud.empty()) account->cloud = path[0];
  if (account->cloud != path[0]) {
    co_return fail(Errc::invalid_argument, "put account {}: the body says \"{}\"", path[0],
                   account->cloud.substr(0, 64));
  }
  const auto view = co_await sky_.put_account(std::move(*account));
  if (!view) co_return pass(view);
  co_return answer(*view);
}

sys::Task<SkyRoutes::Answer> SkyRoutes::remove_account(sys::HttpRequest, Parameters path) {
  const auto removed = sky_.remove_account(path[0]);
  if (!removed) co_return pass(removed);
  co_return done();
}

sys::Task<SkyRoutes::Answer> SkyRoutes::list_hosts(sys::HttpRequest, Parameters) {
  const auto hosts = co_await sky_.hosts();
  co_return answer(hosts);
}

sys::Task<SkyRoutes::Answer> SkyRoutes::list_networks(sys::HttpRequest, Parameters) {
  co_return answer(sky_.networks());
}

// ---- clusters

sys::Task<SkyRoutes::Answer> SkyRoutes::list_clusters(sys::HttpRequest, Parameters) {
  co_return answer(sky_.clusters());
}

sys::Task<SkyRoutes::Answer> SkyRoutes::create_cluster(sys::HttpRequest request, Parameters) {
  auto spec = wire::decode<wire::ClusterSpec>(request.body);
  if (!spec) co_return fail(spec, "create cluster");
  const auto view = co_await sky_.create_cluster(std::move(*spec));
  if (!view) co_return pass(view);
  co_return answer(*view, 202);
}

sys::Task<SkyRoutes::Answer> SkyRoutes::show_cluster(sys::HttpRequest request, Parameters path) {
  const auto view = sky_.cluster(path[0]);
  if (!view) co_return pass(view);
  if (is_set(request, "watch")) co_return watch_cluster(runtime_.clock, sky_, path[0]);
  co_return answer(*view);
}

sys::Task<SkyRoutes::Answer> SkyRoutes::delete_cluster(sys::HttpRequest, Parameters path) {
  const auto view = sky_.delete_cluster(path[0]);
  if (!view) co_return pass(view);
  co_return answer(*view, 202);
}

sys::Task<SkyRoutes::Answer> SkyRoutes::migrate_cluster(sys::HttpRequest request, Parameters path) {
  const auto wanted = wire::decode<wire::MoveRequest>(request.body);
  if (!wanted) co_return fail(wanted, "migrate cluster " + path[0]);
  const auto drawn = sky_.migrate_cluster(path[0], *wanted);
  if (!drawn) co_return pass(drawn);
  co_return answer(*drawn, 202);
}

// ---- instances

sys::Task<SkyRoutes::Answer> SkyRoutes::show_instance(sys::HttpRequest, Parameters path) {
  const auto view = co_await sky_.instance(path[0]);
  if (!view) co_return pass(view);
  co_return answer(*view);
}

sys::Task<SkyRoutes::Answer> SkyRoutes::terminate_instance(sys::HttpRequest, Parameters path) {
  const auto wished = sky_.terminate(path[0]);
  if (!wished) co_return pass(wished);
  co_return done();
}

sys::Task<SkyRoutes::Answer> SkyRoutes::migrate_instance(sys::HttpRequest request, Parameters path) {
  auto wanted = wire::decode<wire::MoveRequest>(request.body);
  if (!wanted) co_return fail(wanted, "migrate instance " + path[0]);
  const auto drawn = sky_.migrate_instance(path[0], std::move(*wanted));
  if (!drawn) co_return pass(drawn);
  co_return answer(*drawn, 202);
}

sys::Task<SkyRoutes::Answer> SkyRoutes::resolve_instance(sys::HttpRequest request, Parameters path) {
  // A default would decide for the person who must.
  const auto value = wire::parse_json(request.body);
  if (!value) co_return fail(value, "resolve instance " + path[0]);
  if (!value->is_object() || !value->get_object().contains("winner")) {
    co_return fail(Errc::invalid_argument, "resolve instance {}: say who wins: \"source\" or \"destination\"", path[0]);
  }
  auto fence = wire::decode<wire::FenceRequest>(request.body);
  if (!fence) co_return fail(fence, "resolve instance " + path[0]);
  const auto told = co_await sky_.fence(path[0], std::move(*fence));
  if (!told) co_return pass(told);
  co_return answer(*told);
}

// ---- migrations

sys::Task<SkyRoutes::Answer> SkyRoutes::list_migrations(sys::HttpRequest request, Parameters) {
  if (!is_set(request, "watch")) co_return answer(sky_.migrations());
  const auto ids = words_of(request.query["ids"]);
  if (ids.empty() || ids.size() > kWatchedAtOnce) {
    co_return fail(Errc::invalid_argument, "watch migrations: name 1 to {} in ids=…,…", kWatchedAtOnce);
  }
  for (const auto& id : ids) {
    const auto report = sky_.migration(id);
    if (!report) co_return pass(report);
  }
  co_return watch_migrations(runtime_.clock, sky_, ids);
}

sys::Task<SkyRoutes::Answer> SkyRoutes::show_migration(sys::HttpRequest, Parameters path) {
  const auto report = sky_.migration(path[0]);
  if (!report) co_return pass(report);
  co_return answer(*report);
}

sys::Task<SkyRoutes::Answer> SkyRoutes::cancel_migration(sys::HttpRequest, Parameters path) {
  const auto cancelled = sky_.cancel(path[0]);
  if (!cancelled) co_return pass(cancelled);
  const auto report = sky_.migration(path[0]);
  if (!report) co_return pass(report);
  co_return answer(*report, 202);
}

}  // namespace godwit::api
