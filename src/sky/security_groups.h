// The user's security groups: what each allows, kept on disk; and which of them a network must carry.
#pragma once

#include "sky/records.h"

#include <map>
#include <string>

namespace godwit::sky {

class SecurityGroups {
 public:
  static constexpr std::size_t kMost = 500;

  // `store` outlives them. `known` is what the store has.
  SecurityGroups(Store& store, const std::vector<wire::SecurityGroup>& known);

  [[nodiscard]] wire::SecurityGroupList list() const;  // the default one first
  // Errors: not_found.
  [[nodiscard]] Result<wire::SecurityGroup> get(const std::string& name) const;
  // Without rules in either direction it may begin everything (as EC2's). Asking again with the same name changes
  // nothing. Errors: invalid_argument, not_found (a rule's group), exhausted, io.
  [[nodiscard]] Result<wire::SecurityGroup> create(wire::SecurityGroup group);
  // Whether a cluster uses it is the caller's question. Errors: not_found, conflict (a rule of another names it).
  [[nodiscard]] Result<> remove(const std::string& name);
  // Once more for a rule that is there changes nothing. Errors: invalid_argument, not_found, exhausted, io.
  [[nodiscard]] Result<wire::SecurityGroup> authorize(const std::string& name, const wire::RuleChange& change);
  // Errors: not_found (no such group or rule), io.
  [[nodiscard]] Result<wire::SecurityGroup> revoke(const std::string& name, const wire::RuleChange& change);

  // Errors: not_found, invalid_argument (too many for one member).
  [[nodiscard]] Result<> check(const std::vector<std::string>& names) const;
  // Those that its members are in.
  [[nodiscard]] std::vector<wire::SecurityGroup> of(const wire::Network& network) const;

 private:
  [[nodiscard]] Result<> keep(const wire::SecurityGroup& group);

  Store& store_;
  std::map<std::string, wire::SecurityGroup> groups_;  // the default one only where it has been changed
};

}  // namespace godwit::sky
