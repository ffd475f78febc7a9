// sky's HTTP API for its user: docs/api/sky.yaml says the same for other programs, and a test compares the two.
#pragma once

#include "sky/sky.h"
#include "sys/http.h"
#include "sys/runtime.h"

#include <string>
#include <string_view>
#include <vector>

namespace godwit::api {

struct SkyRoute {
  std::string_view method;
  std::string_view pattern;
};

class SkyRoutes {
 public:
  // Both outlive the routes, which outlive the server that calls them. Every call must carry `token` as bearer token.
  SkyRoutes(sys::Runtime& runtime, sky::Sky& sky, std::string_view token);
  SkyRoutes(const SkyRoutes&) = delete;
  SkyRoutes& operator=(const SkyRoutes&) = delete;

  [[nodiscard]] sys::Task<sys::HttpResponse> handle(sys::HttpRequest request);

  [[nodiscard]] static std::vector<SkyRoute> routes();

 private:
  struct Entry;
  using Answer = Result<sys::HttpResponse>;
  using Parameters = std::vector<std::string>;
  static const std::vector<Entry>& table();
  [[nodiscard]] bool is_user(const sys::HttpRequest& request) const;

  [[nodiscard]] sys::Task<Answer> about(sys::HttpRequest request, Parameters path);
  [[nodiscard]] sys::Task<Answer> list_accounts(sys::HttpRequest request, Parameters path);
  [[nodiscard]] sys::Task<Answer> put_account(sys::HttpRequest request, Parameters path);
  [[nodiscard]] sys::Task<Answer> remove_account(sys::HttpRequest request, Parameters path);
  [[nodiscard]] sys::Task<Answer> list_hosts(sys::HttpRequest request, Parameters path);
  [[nodiscard]] sys::Task<Answer> list_networks(sys::HttpRequest request, Parameters path);

  [[nodiscard]] sys::Task<Answer> list_clusters(sys::HttpRequest request, Parameters path);
  [[nodiscard]] sys::Task<Answer> create_cluster(sys::HttpRequest request, Parameters path);
  [[nodiscard]] sys::Task<Answer> show_cluster(sys::HttpRequest request, Parameters path);
  [[nodiscard]] sys::Task<Answer> delete_cluster(sys::HttpRequest request, Parameters path);
  [[nodiscard]] sys::Task<Answer> migrate_cluster(sys::HttpRequest request, Parameters path);

  [[nodiscard]] sys::Task<Answer> show_instance(sys::HttpRequest request, Parameters path);
  [[nodiscard]] sys::Task<Answer> terminate_instance(sys::HttpRequest request, Parameters path);
  [[nodiscard]] sys::Task<Answer> migrate_instance(sys::HttpRequest request, Parameters path);
  [[nodiscard]] sys::Task<Answer> resolve_instance(sys::HttpRequest request, Parameters path);

  [[nodiscard]] sys::Task<Answer> list_migrations(sys::HttpRequest request, Parameters path);
  [[nodiscard]] sys::Task<Answer> show_migration(sys::HttpRequest request, Parameters path);
  [[nodiscard]] sys::Task<Answer> cancel_migration(sys::HttpRequest request, Parameters path);

  sys::Runtime& runtime_;
  sky::Sky& sky_;
  std::string token_digest_;
};

}  // namespace godwit::api
