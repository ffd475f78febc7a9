// What people and sky ask of a cloud: the bodies of its native API (docs/api/cloud.yaml has the paths).
#pragma once

#include "wire/host.h"

namespace godwit::wire {

// {"error": {"code": …, "message": …}}: the body of every answer that is not 2xx.
struct ApiErrorDetail {
  std::string code;
  std::string message;
};
BOOST_DESCRIBE_STRUCT(ApiErrorDetail, (), (code, message))
struct ApiError {
  ApiErrorDetail error;
};
BOOST_DESCRIBE_STRUCT(ApiError, (), (error))

[[nodiscard]] int http_status_of(Errc code);
[[nodiscard]] std::string error_body(const Error& error);
// The Error that `body` carries, or one made of the status alone.
[[nodiscard]] Error error_of(int http_status, std::string_view body);

// POST /v1/instances. `id` is drawn by the caller, so that asking twice makes one instance.
struct RunInstanceRequest {
  std::string id;
  std::string name;
  std::string cluster;
  std::vector<std::string> roles;
  std::string type;
  std::string image;
  NetworkInterface interface;
  std::vector<std::string> ssh_keys;
  std::string user_data;
  std::string host;  // empty: the scheduler chooses
};
BOOST_DESCRIBE_STRUCT(RunInstanceRequest, (),
                      (id, name, cluster, roles, type, image, interface, ssh_keys, user_data, host))

struct InstanceView {
  InstanceSpec spec;
  InstanceState state{InstanceState::pending};
  bool ready{false};
  std::string cloud;
  std::string host;
  std::string host_key;  // SHA-256 of its host's public key: what a ticket binds
  std::uint64_t location_version{0};
  std::string migration;  // the one that is under way, or empty
  std::string moved_to;   // the cloud that has it now, where state is moved
  std::string problem;
  std::int64_t launched_ms{0};
};
BOOST_DESCRIBE_STRUCT(InstanceView, (),
                      (spec, state, ready, cloud, host, host_key, location_version, migration, moved_to, problem,
                       launched_ms))
struct InstanceList {
  std::vector<InstanceView> instances;
};
BOOST_DESCRIBE_STRUCT(InstanceList, (), (instances))

struct HostView {
  std::string name;
  bool alive{false};
  HostCapacity capacity;
  HostCapacity used;
  std::string accelerator;
  std::string qemu_version;
  std::vector<ImageReport> images;
  std::vector<ImageArrival> arrivals;
  std::int64_t last_seen_ms{0};
  std::string problem;  // for its operator: silent, or it has instances that are not its own
};
BOOST_DESCRIBE_STRUCT(HostView, (),
                      (name, alive, capacity, used, accelerator, qemu_version, images, arrivals, last_seen_ms, problem))
struct HostList {
  std::vector<HostView> hosts;
};
BOOST_DESCRIBE_STRUCT(HostList, (), (hosts))

struct Quota {
  std::uint32_t instances{20};
  std::uint32_t vcpus{40};
  std::uint32_t memory_mib{65536};
  std::uint32_t images{1000};          // names of its own, and those that are on their way
  std::uint32_t image_mib{1U << 20U};  // that their contents take of the cloud's store: 1 TiB

  [[nodiscard]] static Quota nothing() { return {0, 0, 0, 0, 0}; }
};
BOOST_DESCRIBE_STRUCT(Quota, (), (instances, vcpus, memory_mib, images, image_mib))

struct CloudView {
  std::string name;
  std::string api_url;
  std::string ca_pem;
  std::string tenant;  // of the caller
  Quota quota;
  Quota used{Quota::nothing()};
  std::map<std::string, double> prices;  // per hour by instance type, in `currency`
  std::string currency;
};
BOOST_DESCRIBE_STRUCT(CloudView, (), (name, api_url, ca_pem, tenant, quota, used, prices, currency))

// PUT /v1/networks/ID: sky's word on who is a member; the answer has the cloud's own word on where its members are.
// PUT /v1/networks/ID/peers: the CAs of the other clouds of this network, for its members' hosts only.
struct NetworkPeers {
  std::vector<CloudCa> clouds;
};
BOOST_DESCRIBE_STRUCT(NetworkPeers, (), (clouds))

struct JoinTokenRequest {
  std::string host;
  std::uint32_t valid_s{3600};
};
BOOST_DESCRIBE_STRUCT(JoinTokenRequest, (), (host, valid_s))
struct JoinToken {
  std::string token;
  std::string ca_sha256;  // of the CA's certificate: the host checks it before it believes anything
};
BOOST_DESCRIBE_STRUCT(JoinToken, (), (token, ca_sha256))

// POST /v1/instances/ID/resolve: a person has made sure that the losing side is dead.
struct FenceRequest {
  std::string migration;
  MigrationRole winner{MigrationRole::source};
};
BOOST_DESCRIBE_STRUCT(FenceRequest, (), (migration, winner))

}  // namespace godwit::wire
