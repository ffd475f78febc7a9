// The native API of a cloud (docs/api/cloud.yaml): for its hosts, for other clouds' hosts, for people and their sky.
#pragma once

#include "api/openapi.h"
#include "api/router.h"
#include "cloud/cloud.h"
#include "cloud/depot.h"

namespace godwit::api {

class CloudRoutes {
 public:
  // `depot` null: this cloud keeps no images, and says so to who brings one. Both outlive the routes.
  explicit CloudRoutes(cloud::Cloud& cloud, cloud::Depot* depot = nullptr);
  CloudRoutes(const CloudRoutes&) = delete;
  CloudRoutes& operator=(const CloudRoutes&) = delete;

  // A handler for sys::Http::serve(). The routes outlive the server.
  [[nodiscard]] sys::HttpHandler handler() {
    return [this](sys::HttpRequest request) { return router_.handle(std::move(request)); };
  }
  [[nodiscard]] const Router& router() const { return router_; }

 private:
  void add_agent_routes();
  void add_image_routes(cloud::Depot* depot);
  void add_instance_routes();
  void add_migration_routes();
  void add_network_routes();
  void add_cloud_routes();
  [[nodiscard]] Result<sys::HttpResponse> show_migration(const cloud::User& user, const Call& call);

  cloud::Cloud& cloud_;
  Router router_;
};

[[nodiscard]] ApiTitle cloud_api_title();

}  // namespace godwit::api
