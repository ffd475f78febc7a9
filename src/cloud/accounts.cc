#include "cloud/accounts.h"

#include "base/id.h"
#include "cloud/image_quota.h"
#include "crypto/digest.h"
#include "crypto/token.h"

#include <set>

namespace godwit::cloud {
namespace {

constexpr std::size_t kTokenBytes = 256;
constexpr std::chrono::minutes kClockSkew{5};  // a host whose clock is behind must believe its new certificate

}  // namespace

Result<> Accounts::put_tenant(const std::string& name, const wire::Quota& quota, bool is_operator) {
  if (!is_label(name)) return fail(Errc::invalid_argument, "tenant \"{}\": the name must be a DNS label", name);
  return core_.database().write(Durability::full, [&](Sql& sql) -> Result<> {
    put(sql, TenantRow{name, quota, is_operator});
    return {};
  });
}

Result<std::vector<TenantView>> Accounts::tenants() {
  return core_.database().read([&](Sql& sql) -> Result<std::vector<TenantView>> {
    std::vector<TenantView> out;
    for (const auto& row : select<TenantRow>(sql, "true ORDER BY name")) {
      out.push_back({row.name, row.is_operator, row.quota, quota_used(sql, row.name, core_.now_ms())});
    }
    return out;
  });
}

Result<User> Accounts::find_tenant(const std::string& name) {
  return core_.database().read([&](Sql& sql) -> Result<User> {
    const auto row = select_one<TenantRow>(sql, "name = $1", name);
    if (!row) return fail(Errc::not_found, "tenant {}: no such tenant", name);
    return User{row->name, row->quota, row->is_operator};
  });
}

Result<> Accounts::revoke_tokens(const std::string& tenant) {
  return core_.database().write(Durability::full, [&](Sql& sql) -> Result<> {
    sql.run("DELETE FROM tokens WHERE tenant = $1", tenant);
    return {};
  });
}

Result<std::string> Accounts::issue_token(const std::string& tenant) {
  auto token = crypto::make_token("gwuser", core_.random());
  const auto stored = core_.database().write(Durability::full, [&](Sql& sql) -> Result<> {
    if (!select_one<TenantRow>(sql, "name = $1", tenant)) {
      return fail(Errc::not_found, "tenant {}: no such tenant (godwit cloud add-user makes it)", tenant);
    }
    put(sql, TokenRow{crypto::token_digest(token), tenant, core_.now_ms()});
    return {};
  });
  if (!stored) return pass(stored);
  return token;
}

Result<User> Accounts::user_of(std::string_view bearer_token) {
  if (bearer_token.empty() || bearer_token.size() > kTokenBytes) {
    return fail(Errc::not_authentic, "a bearer token is needed (header \"Authorization: Bearer …\")");
  }
  return core_.database().read([&](Sql& sql) -> Result<User> {
    const auto token = select_one<TokenRow>(sql, "sha256 = $1", crypto::token_digest(bearer_token));
    const auto tenant = token ? select_one<TenantRow>(sql, "name = $1", token->tenant) : std::optional<TenantRow>{};
    if (!tenant) return fail(Errc::not_authentic, "this bearer token is of nobody at {}", core_.name());
    return User{tenant->name, tenant->quota, tenant->is_operator};
  });
}

Result<HostIdentity> Accounts::host_of(const std::optional<sys::PeerIdentity>& peer) const {
  if (!peer) return fail(Errc::not_authentic, "a host's client certificate is needed");
  const auto suffix = "." + core_.name() + ".godwit";
  const auto label = peer->name.substr(0, peer->name.find('.'));
  if (peer->cloud != core_.name()) {
    return fail(Errc::denied, "{} is a host of cloud {}, not of {}", peer->name, peer->cloud, core_.name());
  }
  if (peer->name != label + suffix || !is_label(label) || label == "api") {
    return fail(Errc::denied, "{} is no host of {} (its certificate must say HOST{})", peer->name, core_.name(),
                suffix);
  }
  return HostIdentity{label, peer->key_sha256};
}

Result<wire::JoinToken> Accounts::issue_join_token(const wire::JoinTokenRequest& request) {
  if (!is_label(request.host) || request.host == "api") {
    return fail(Errc::invalid_argument, "join token: host \"{}\" must be a DNS label, and not \"api\"",
                request.host.substr(0, 64));
  }
  if (request.valid_s == 0 || request.valid_s > 7 * 24 * 3600) {
    return fail(Errc::invalid_argument, "join token: valid_s must be 1 to 604800");
  }
  wire::JoinToken out;
  out.token = crypto::make_token("gwjoin", core_.random());
  out.ca_sha256 = crypto::sha256_hex(as_bytes(core_.keys().authority_pem));
  const auto stored = core_.database().write(Durability::full, [&](Sql& sql) -> Result<> {
    const auto expires = core_.now_ms() + Millis{Seconds{request.valid_s}}.count();
    put(sql, JoinTokenRow{crypto::token_digest(out.token), request.host, expires, "", ""});
    return {};
  });
  if (!stored) return pass(stored);
  return out;
}

Result<std::string> Accounts::certify(const wire::JoinRequest& request) {
  const auto now = core_.clock().wall_now();
  const crypto::Validity validity{now - kClockSkew, now + kHostCertificateLife};
  auto signed_pem = crypto::sign_request(core_.keys().authority, core_.keys().authority_pem, request.csr_pem,
                                         certificate_name(request.host, core_.name()), validity, core_.random());
  if (!signed_pem) return fail(signed_pem, "join: host " + request.host);
  return std::move(*signed_pem);
}

Result<wire::JoinAnswer> Accounts::join(std::string_view join_token, const wire::JoinRequest& request) {
  if (join_token.empty() || join_token.size() > kTokenBytes) {
    return fail(Errc::not_authentic, "join: a join token is needed (header \"Authorization: Bearer …\")");
  }
  return core_.database().write(Durability::full, [&](Sql& sql) -> Result<wire::JoinAnswer> {
    auto token = select_one<JoinTokenRow>(sql, "sha256 = $1", crypto::token_digest(join_token));
    if (!token) return fail(Errc::not_authentic, "join: {} knows no such join token", core_.name());
    if (token->host != request.host) {
      return fail(Errc::denied, "join: this token is for host {}, not for {}", token->host, request.host.substr(0, 64));
    }
    if (core_.now_ms() >= token->expires_ms) {
      return fail(Errc::not_authentic, "join: the token has expired (godwit cloud invite makes another)");
    }
    if (request.csr_pem.size() > crypto::kPemBytes) return fail(Errc::invalid_argument, "join: csr_pem is too long");
    const auto csr = crypto::inspect_request(request.csr_pem);
    if (!csr) return fail(csr, "join: csr_pem");
    const auto csr_digest = crypto::sha256_hex(as_bytes(request.csr_pem));
    if (token->csr_sha256.empty()) {
      auto certificate = certify(request);
      if (!certificate) return pass(certificate);
      token->csr_sha256 = csr_digest;
      token->certificate = std::move(*certificate);
      put(sql, *token);
      auto host = select_one<HostRow>(sql, "name = $1", request.host).value_or(HostRow{});
      host.name = request.host;
      host.key_sha256 = csr->key_sha256;
      put(sql, host);
    } else if (token->csr_sha256 != csr_digest) {
      return fail(Errc::not_authentic, "join: the token was used already (godwit cloud invite makes another)");
    }
    return wire::JoinAnswer{core_.name(), token->certificate, core_.keys().authority_pem};
  });
}

Result<wire::CloudView> Accounts::view(const User& user) {
  return core_.database().read([&](Sql& sql) -> Result<wire::CloudView> {
    const auto& settings = core_.settings();
    return wire::CloudView{settings.name,   settings.api_url, core_.keys().authority_pem,
                           user.tenant,     user.quota,       quota_used(sql, user.tenant, core_.now_ms()),
                           settings.prices, settings.currency};
  });
}

wire::Quota quota_used(Sql& sql, const std::string& tenant, std::int64_t now_ms, const std::string& except) {
  auto used = wire::Quota::nothing();
  std::set<std::string> counted{except};
  for (const auto& claim : select<Claim>(sql, "tenant = $1 AND (expires_ms = 0 OR expires_ms > $2)", tenant, now_ms)) {
    if (!counted.insert(claim.instance).second) continue;
    ++used.instances;
    used.vcpus += claim.vcpus;
    used.memory_mib += claim.memory_mib;
  }
  const auto kept = images_used(sql, tenant);
  used.images = static_cast<std::uint32_t>(kept.images);
  used.image_mib = static_cast<std::uint32_t>((kept.bytes + (1U << 20U) - 1) >> 20U);
  return used;
}

Result<> check_quota(Sql& sql, const User& user, const wire::HostCapacity& asked, std::int64_t now_ms,
                     const std::string& except) {
  const auto used = quota_used(sql, user.tenant, now_ms, except);
  const auto check = [&](std::uint64_t is, std::uint64_t more, std::uint64_t limit, std::string_view what) -> Result<> {
    if (is + more <= limit) return {};
    return fail(Errc::exhausted, "tenant {}: the quota of {} {} is full ({} used, {} more asked)", user.tenant, limit,
                what, is, more);
  };
  for (const auto& each : {check(used.instances, 1, user.quota.instances, "instances"),
                           check(used.vcpus, asked.vcpus, user.quota.vcpus, "vCPUs"),
                           check(used.memory_mib, asked.memory_mib, user.quota.memory_mib, "MiB memory")}) {
    if (!each) return each;
  }
  return {};
}

}  // namespace godwit::cloud
