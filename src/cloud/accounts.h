// Who may do what: tenants with quotas, their bearer tokens, and the certificates of hosts.
#pragma once

#include "cloud/hosts.h"

namespace godwit::cloud {

constexpr std::chrono::hours kHostCertificateLife{24 * 365};

struct TenantView {
  std::string name;
  bool is_operator{false};
  wire::Quota quota;
  wire::Quota used;
};
BOOST_DESCRIBE_STRUCT(TenantView, (), (name, is_operator, quota, used))

class Accounts {
 public:
  explicit Accounts(Core& core) : core_(core) {}

  // Makes the tenant, or changes its quota. Errors: invalid_argument (the name).
  [[nodiscard]] Result<> put_tenant(const std::string& name, const wire::Quota& quota, bool is_operator);
  // All tenants, with what each holds now.
  [[nodiscard]] Result<std::vector<TenantView>> tenants();
  // As put_tenant() made it. Errors: not_found.
  [[nodiscard]] Result<User> find_tenant(const std::string& name);
  // A new bearer token; it is shown this once. Errors: not_found (the tenant).
  [[nodiscard]] Result<std::string> issue_token(const std::string& tenant);
  // Its tokens of before open nothing any more.
  [[nodiscard]] Result<> revoke_tokens(const std::string& tenant);
  // Errors: not_authentic.
  [[nodiscard]] Result<User> user_of(std::string_view bearer_token);
  // The host of a client certificate that this cloud's CA signed. Errors: not_authentic, denied (another cloud's).
  [[nodiscard]] Result<HostIdentity> host_of(const std::optional<sys::PeerIdentity>& peer) const;

  // A token with which the host may join once. Errors: invalid_argument.
  [[nodiscard]] Result<wire::JoinToken> issue_join_token(const wire::JoinTokenRequest& request);
  // The certificate for the request's key. Asked again with the same request (the answer was lost) it gives the same.
  // Errors: not_authentic (no such token, used, expired), denied (another host's token), those of the request.
  [[nodiscard]] Result<wire::JoinAnswer> join(std::string_view join_token, const wire::JoinRequest& request);

  [[nodiscard]] Result<wire::CloudView> view(const User& user);

 private:
  [[nodiscard]] Result<std::string> certify(const wire::JoinRequest& request);

  Core& core_;
};

// What the tenant holds now: instances, arriving ones and reservations, each instance once. `except` is not counted.
[[nodiscard]] wire::Quota quota_used(Sql& sql, const std::string& tenant, std::int64_t now_ms,
                                     const std::string& except = "");
// Errors: exhausted, saying which limit and by how much.
[[nodiscard]] Result<> check_quota(Sql& sql, const User& user, const wire::HostCapacity& asked, std::int64_t now_ms,
                                   const std::string& except = "");

}  // namespace godwit::cloud
