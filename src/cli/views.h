// What sky says, as people read it. Pure: text out of messages.
#pragma once

#include "base/time.h"
#include "wire/cluster.h"

#include <map>
#include <string>
#include <vector>

namespace godwit::cli {

[[nodiscard]] std::string accounts_text(const wire::AccountList& list, bool verbose);
[[nodiscard]] std::string clusters_text(const wire::ClusterList& list, WallTime now);
[[nodiscard]] std::string cluster_text(const wire::ClusterView& cluster, WallTime now);
// Members of all clusters; `cluster` and `cloud` narrow the choice where they are not empty.
[[nodiscard]] std::string instances_text(const wire::ClusterList& list, const std::string& cluster,
                                         const std::string& cloud);
[[nodiscard]] std::string instance_text(const wire::InstanceView& instance, WallTime now);
[[nodiscard]] std::string hosts_text(const wire::CloudHostsList& list, WallTime now);
[[nodiscard]] std::string networks_text(const wire::NetworkList& list);
[[nodiscard]] std::string network_text(const wire::Network& network);
// `names`: of members, by instance.
[[nodiscard]] std::string migrations_text(const wire::MigrationList& list,
                                          const std::map<std::string, std::string>& names, WallTime now);
[[nodiscard]] std::string migration_text(const wire::MigrationReport& report, const std::string& name);

// The state of an enum's value, with blanks for underscores: "shutting down".
template <class E>
[[nodiscard]] std::string word_of(E value) {
  std::string word = boost::describe::enum_to_string(value, "unknown");
  for (char& c : word) {
    if (c == '_') c = ' ';
  }
  return word;
}

[[nodiscard]] std::map<std::string, std::string> member_names(const wire::ClusterList& list);

}  // namespace godwit::cli
