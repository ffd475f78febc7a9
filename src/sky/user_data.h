// What each member of a cluster is told when it boots: the user's own user data, and a cloud-config of ours that makes
// it one of the cluster. Keys of people come by the metadata service. cloud-init merges the two
// (docs/formats/user-data.md says how).
#pragma once

#include "base/result.h"
#include "sky/ssh_key.h"
#include "wire/instance.h"

#include <string>
#include <vector>

namespace godwit::sky {

struct KnownMember {
  std::string name;
  std::string ip;
  std::vector<std::string> roles;
};

// The same for every member of a cluster.
struct ClusterContext {
  std::string cluster;
  std::string domain;
  SshKey login;  // every member holds it and admits it as root: members reach each other
  SshKey host;   // every member shows it: they know each other without asking
  std::vector<KnownMember> members;
  std::string user_data;  // of the user
};

// The user data of the member `name`. The same context gives the same bytes. Holds secrets.
// Errors: invalid_argument where it is longer than wire::kUserDataLimit.
[[nodiscard]] Result<std::string> user_data_of(const ClusterContext& context, const std::string& name);

}  // namespace godwit::sky
