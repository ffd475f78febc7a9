// Calls of one cloud's native API (docs/api/cloud.yaml) as one of its users. Typed, one attempt each, each with a
// limit.
#pragma once

#include "sys/http.h"
#include "wire/cloud_api.h"
#include "wire/cluster.h"
#include "wire/image.h"
#include "wire/observation.h"
#include "wire/snapshot.h"

#include <string>

namespace godwit::sky {

constexpr Seconds kCloudCallLimit{10};
constexpr Seconds kImageCallLimit{300};  // 12 MiB at 400 kbit/s

// A value; `http` outlives it and its calls. Errors name the cloud and the call; those of the cloud keep its code,
// else unavailable, timed_out, not_authentic, protocol.
class CloudClient {
 public:
  CloudClient(sys::Http& http, sys::HttpEndpoint endpoint, std::string cloud, std::string token)
      : http_(&http), endpoint_(std::move(endpoint)), cloud_(std::move(cloud)), token_(std::move(token)) {}

  [[nodiscard]] const std::string& cloud() const { return cloud_; }

  [[nodiscard]] sys::Task<Result<wire::CloudView>> view() const;
  [[nodiscard]] sys::Task<Result<wire::HostList>> hosts() const;

  [[nodiscard]] sys::Task<Result<wire::Network>> put_network(const wire::Network& network) const;
  [[nodiscard]] sys::Task<Result<wire::Network>> network(const std::string& id) const;
  [[nodiscard]] sys::Task<Result<wire::NetworkObservation>> observation(const std::string& network) const;
  [[nodiscard]] sys::Task<Result<>> put_peers(const std::string& network, const wire::NetworkPeers& peers) const;
  [[nodiscard]] sys::Task<Result<>> delete_network(const std::string& id) const;

  [[nodiscard]] sys::Task<Result<wire::InstanceView>> run(const wire::RunInstanceRequest& request) const;
  [[nodiscard]] sys::Task<Result<wire::InstanceList>> instances() const;
  [[nodiscard]] sys::Task<Result<wire::InstanceView>> instance(const std::string& id) const;
  [[nodiscard]] sys::Task<Result<>> terminate(const std::string& id) const;

  [[nodiscard]] sys::Task<Result<wire::SnapshotView>> snapshot(const std::string& instance,
                                                               const wire::SnapshotRequest& request) const;
  [[nodiscard]] sys::Task<Result<wire::SnapshotList>> snapshots() const;

  [[nodiscard]] sys::Task<Result<wire::TicketGrant>> ticket(const wire::TicketRequest& request) const;
  [[nodiscard]] sys::Task<Result<>> migrate(const std::string& instance, const wire::MigrateRequest& request) const;
  [[nodiscard]] sys::Task<Result<wire::MigrationReport>> migration(const std::string& id) const;
  [[nodiscard]] sys::Task<Result<>> cancel(const std::string& migration) const;
  [[nodiscard]] sys::Task<Result<>> fence(const std::string& instance, const wire::FenceRequest& request) const;

  [[nodiscard]] sys::Task<Result<wire::CloudImageList>> images() const;
  [[nodiscard]] sys::Task<Result<>> name_image(const wire::ImageName& name) const;
  [[nodiscard]] sys::Task<Result<>> remove_image(const std::string& name) const;
  // `begins`: asks for an audit; else only what became of the last one.
  [[nodiscard]] sys::Task<Result<wire::CloudImageCheck>> check_image(const std::string& name, bool begins) const;
  // A call of docs/protocols/image-store.md, with the body of its answer.
  [[nodiscard]] sys::Task<Result<std::string>> image_call(std::string method, std::string path, std::string body) const;

 private:
  sys::Http* http_;
  sys::HttpEndpoint endpoint_;
  std::string cloud_;
  std::string token_;  // a secret
};

}  // namespace godwit::sky
