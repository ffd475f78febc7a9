// A cluster over several clouds, as sky's API says it (docs/api/sky.yaml has the paths).
#pragma once

#include "wire/cloud_api.h"

namespace godwit::wire {

struct MemberSpec {
  std::string name;   // empty: drawn from the cluster's name and a number
  std::string cloud;  // empty: sky chooses
  std::string type;   // empty: the cluster's
  std::vector<std::string> roles;
};
BOOST_DESCRIBE_STRUCT(MemberSpec, (), (name, cloud, type, roles))

// POST /v1/clusters. Asking twice with one name and the same content is asking once.
struct ClusterSpec {
  std::string name;
  std::uint32_t size{0};  // members to draw, where `members` is empty
  std::vector<MemberSpec> members;
  std::vector<std::string> clouds;  // to spread over, in turn; empty: every account
  std::string type{"t3.nano"};
  std::string image{"debian-12"};
  std::string cidr;  // empty: drawn
  std::vector<std::string> ssh_keys;
  std::string user_data;
  std::vector<std::string> security_groups;  // of all members; empty: "default"
};
BOOST_DESCRIBE_STRUCT(ClusterSpec, (),
                      (name, size, members, clouds, type, image, cidr, ssh_keys, user_data, security_groups))

BOOST_DEFINE_ENUM_CLASS(ClusterState, creating, ready, degraded, deleting, deleted)

struct ClusterMember {
  std::string name;
  std::string instance;
  std::string cloud;  // where it is now, or shall be
  std::string host;
  std::string ip;
  std::vector<std::string> roles;
  InstanceState state{InstanceState::pending};
  bool ready{false};
  std::string migration;
  std::string problem;
};
BOOST_DESCRIBE_STRUCT(ClusterMember, (), (name, instance, cloud, host, ip, roles, state, ready, migration, problem))

struct ClusterView {
  std::string name;
  ClusterState state{ClusterState::creating};
  std::string network;
  std::string cidr;
  std::string domain;
  std::vector<ClusterMember> members;
  std::int64_t created_ms{0};
  double ready_after_s{0};            // from the request to all members ready; 0 while not
  std::vector<std::string> problems;  // what keeps it from being ready or gone, for people: "cloud-b: …"
};
BOOST_DESCRIBE_STRUCT(ClusterView, (),
                      (name, state, network, cidr, domain, members, created_ms, ready_after_s, problems))
struct ClusterList {
  std::vector<ClusterView> clusters;
};
BOOST_DESCRIBE_STRUCT(ClusterList, (), (clusters))

// POST /v1/clusters/NAME/migrate and POST /v1/instances/ID/migrate of sky.
struct MoveRequest {
  std::string to_cloud;
  std::vector<std::string> members;  // names; empty: all that are elsewhere
  MigrationOptions options;
};
BOOST_DESCRIBE_STRUCT(MoveRequest, (), (to_cloud, members, options))
struct MigrationList {
  std::vector<MigrationReport> migrations;
};
BOOST_DESCRIBE_STRUCT(MigrationList, (), (migrations))

// PUT /v1/accounts/CLOUD of sky: how it reaches a cloud, and as whom. The token is never given back.
struct Account {
  std::string cloud;
  std::string url;
  std::string ca_pem;
  std::string token;
};
BOOST_DESCRIBE_STRUCT(Account, (), (cloud, url, ca_pem, token))

// GET /v1/accounts: what the cloud says of itself and of this user, asked when it is listed.
struct AccountView {
  std::string cloud;
  std::string url;
  bool reachable{false};
  std::string problem;  // why not
  std::string tenant;
  Quota quota;
  Quota used{Quota::nothing()};
  std::map<std::string, double> prices;
  std::string currency;
};
BOOST_DESCRIBE_STRUCT(AccountView, (), (cloud, url, reachable, problem, tenant, quota, used, prices, currency))
struct AccountList {
  std::vector<AccountView> accounts;
};
BOOST_DESCRIBE_STRUCT(AccountList, (), (accounts))

// GET /v1/hosts of sky: the hosts of every cloud that shows them to this user.
struct CloudHosts {
  std::string cloud;
  std::string problem;
  std::vector<HostView> hosts;
};
BOOST_DESCRIBE_STRUCT(CloudHosts, (), (cloud, problem, hosts))
struct CloudHostsList {
  std::vector<CloudHosts> clouds;
};
BOOST_DESCRIBE_STRUCT(CloudHostsList, (), (clouds))

struct NetworkList {
  std::vector<Network> networks;  // without their keys
};
BOOST_DESCRIBE_STRUCT(NetworkList, (), (networks))

// POST /v1/instances/ID/resolve of sky: which clouds wrote the fence down, and which could not be told.
struct FenceAnswer {
  std::vector<std::string> told;
  std::map<std::string, std::string> problems;  // by cloud
};
BOOST_DESCRIBE_STRUCT(FenceAnswer, (), (told, problems))

}  // namespace godwit::wire
