// sky's HTTP API for its user (docs/api/sky.yaml).
#pragma once

#include "api/openapi.h"
#include "api/router.h"
#include "sky/sky.h"

#include <string>
#include <string_view>

namespace godwit::api {

class SkyRoutes {
 public:
  // Both outlive the routes, which outlive the server. Every call must carry `token` as bearer token.
  SkyRoutes(sys::Clock& clock, sky::Sky& sky, std::string_view token);
  SkyRoutes(const SkyRoutes&) = delete;
  SkyRoutes& operator=(const SkyRoutes&) = delete;

  // A handler for sys::Http::serve().
  [[nodiscard]] sys::HttpHandler handler() {
    return [this](sys::HttpRequest request) { return router_.handle(std::move(request)); };
  }
  [[nodiscard]] const Router& router() const { return router_; }

 private:
  template <class Request, class Answer, class Body>
  Route& add(std::string method, std::string pattern, std::string summary, Body body);
  void add_account_routes();
  void add_leaf_routes();
  void add_cluster_routes();
  void add_security_group_routes();
  void add_image_routes();
  void add_instance_routes();
  void add_migration_routes();
  [[nodiscard]] Result<> admit(const Call& call) const;
  [[nodiscard]] Result<sys::HttpResponse> show_cluster(const Call& call);
  [[nodiscard]] Result<sys::HttpResponse> list_migrations(const Call& call);

  sys::Clock& clock_;
  sky::Sky& sky_;
  std::string token_digest_;
  Router router_;
};

[[nodiscard]] ApiTitle sky_api_title();

}  // namespace godwit::api
