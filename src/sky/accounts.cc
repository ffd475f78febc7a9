#include "sky/accounts.h"

#include "base/id.h"
#include "sys/gather.h"

namespace godwit::sky {
namespace {

constexpr std::size_t kPemLimit = 64UL * 1024;
constexpr std::size_t kTokenLimit = 4096;
constexpr std::size_t kAccountLimit = 64;

bool is_loopback(std::string_view host) { return host.starts_with("127.") || host == "::1" || host == "localhost"; }

bool is_token(std::string_view text) {
  if (text.empty() || text.size() > kTokenLimit) return false;
  for (const char c : text) {
    if (c <= ' ' || c > '~') return false;
  }
  return true;
}

Result<sys::HttpEndpoint> endpoint_of(const wire::Account& account) {
  if (!is_label(account.cloud)) {
    return fail(Errc::invalid_argument, "account: \"{}\" is no cloud's name (lower-case letters, digits, hyphens)",
                account.cloud.substr(0, 64));
  }
  const auto bad = [&](std::string_view cause) {
    return fail(Errc::invalid_argument, "account {}: {}", account.cloud, cause);
  };
  auto endpoint = sys::parse_endpoint(account.url, "api." + account.cloud + ".godwit");
  if (!endpoint) return fail(endpoint, "account " + account.cloud);
  if (endpoint->tls == sys::HttpTls::none && !is_loopback(endpoint->host)) {
    return bad("a token may cross the network in https only (give an https:// URL)");
  }
  if (endpoint->tls != sys::HttpTls::none &&
      (account.ca_pem.size() > kPemLimit || account.ca_pem.find("-----BEGIN CERTIFICATE-----") == std::string::npos)) {
    return bad("the CA must be a certificate in PEM form (the cloud's operator has it: ca.pem)");
  }
  if (!is_token(account.token)) return bad("the token must be 1 to 4096 printable characters on one line");
  return endpoint;
}

void describe(wire::AccountView& view, const wire::CloudView& said) {
  view.reachable = true;
  view.tenant = said.tenant;
  view.quota = said.quota;
  view.used = said.used;
  view.prices = said.prices;
  view.currency = said.currency;
}

}  // namespace

Accounts::Accounts(sys::Runtime& runtime, Store& store, std::vector<wire::Account> known)
    : runtime_(runtime), store_(store) {
  for (auto& account : known) {
    auto endpoint = endpoint_of(account);
    if (!endpoint) {
      runtime_.log.error("passed over: {}", endpoint.error().message);
      continue;
    }
    const auto cloud = account.cloud;
    entries_[cloud] = Entry{std::move(account), std::move(*endpoint)};
  }
  trust_all();
}

void Accounts::trust_all() {
  auto authorities = trying_;
  for (const auto& [cloud, entry] : entries_) {
    if (!entry.account.ca_pem.empty()) authorities.push_back({cloud, entry.account.ca_pem});
  }
  runtime_.http.trust(std::move(authorities));
}

sys::Task<Result<wire::AccountView>> Accounts::put(wire::Account account) {
  const auto endpoint = endpoint_of(account);
  if (!endpoint) co_return pass(endpoint);
  if (!entries_.contains(account.cloud) && entries_.size() >= kAccountLimit) {
    co_return fail(Errc::exhausted, "account {}: there are {} accounts, the most there may be", account.cloud,
                   kAccountLimit);
  }
  const sys::TrustedCa authority{account.cloud, account.ca_pem};
  if (!account.ca_pem.empty()) trying_.push_back(authority);
  trust_all();
  const CloudClient client(runtime_.http, *endpoint, account.cloud, account.token);
  const auto said = co_await client.view();
  Result<> kept;
  if (!said) {
    kept = fail(said, fmt::format("account {} (nothing was recorded)", account.cloud));
  } else if (said->name != account.cloud) {
    kept = fail(Errc::invalid_argument, "account {}: the cloud at {} is called \"{}\" (name the account so)",
                account.cloud, account.url, said->name.substr(0, 64));
  } else {
    kept = store_.save(account);
  }
  if (kept) entries_[account.cloud] = Entry{account, *endpoint};
  std::erase(trying_, authority);
  trust_all();
  if (!kept) co_return pass(kept);
  wire::AccountView view;
  view.cloud = account.cloud;
  view.url = account.url;
  describe(view, *said);
  co_return view;
}

Result<> Accounts::remove(const std::string& cloud) {
  if (!entries_.contains(cloud)) return unknown(cloud);
  const auto removed = store_.remove_account(cloud);
  if (!removed) return removed;
  entries_.erase(cloud);
  trust_all();
  return {};
}

std::unexpected<Error> Accounts::unknown(const std::string& cloud) const {
  std::string known;
  for (const auto& [name, entry] : entries_) known += (known.empty() ? "" : ", ") + name;
  return fail(Errc::not_found, "no account on a cloud \"{}\" ({}; add it with godwit account add)", cloud.substr(0, 64),
              known.empty() ? "there is none yet" : "there are " + known);
}

Result<CloudClient> Accounts::client(const std::string& cloud) const {
  const auto found = entries_.find(cloud);
  if (found == entries_.end()) return unknown(cloud);
  return CloudClient(runtime_.http, found->second.endpoint, cloud, found->second.account.token);
}

Result<std::string> Accounts::ca_pem(const std::string& cloud) const {
  const auto found = entries_.find(cloud);
  if (found == entries_.end()) return unknown(cloud);
  return found->second.account.ca_pem;
}

std::vector<std::string> Accounts::clouds() const {
  std::vector<std::string> names;
  for (const auto& [cloud, entry] : entries_) names.push_back(cloud);
  return names;
}

sys::Task<wire::AccountView> Accounts::view_of(std::string cloud) {
  wire::AccountView view;
  view.cloud = cloud;
  view.url = entries_.at(cloud).account.url;
  const auto reached = client(cloud);
  const auto said = co_await reached->view();
  if (said) {
    describe(view, *said);
  } else {
    view.problem = said.error().message;
  }
  co_return view;
}

sys::Task<wire::CloudHosts> Accounts::hosts_of(std::string cloud) {
  wire::CloudHosts out;
  out.cloud = cloud;
  const auto reached = client(cloud);
  auto said = co_await reached->hosts();
  if (said) {
    out.hosts = std::move(said->hosts);
  } else {
    out.problem = said.error().message;
  }
  co_return out;
}

sys::Task<wire::SnapshotList> Accounts::snapshots_of(std::string cloud) {
  const auto reached = client(cloud);
  auto said = co_await reached->snapshots();
  if (said) co_return std::move(*said);
  wire::SnapshotList none;
  none.problems.push_back(said.error().message);
  co_return none;
}

sys::Task<wire::SnapshotList> Accounts::snapshots() {
  std::vector<sys::Task<wire::SnapshotList>> asked;
  for (const auto& cloud : clouds()) asked.push_back(snapshots_of(cloud));
  wire::SnapshotList all;
  for (auto& each : co_await sys::gather(runtime_.executor, std::move(asked))) {
    std::ranges::move(each.snapshots, std::back_inserter(all.snapshots));
    std::ranges::move(each.problems, std::back_inserter(all.problems));
  }
  co_return all;
}

sys::Task<std::vector<wire::AccountView>> Accounts::views() {
  std::vector<sys::Task<wire::AccountView>> asked;
  for (const auto& cloud : clouds()) asked.push_back(view_of(cloud));
  co_return co_await sys::gather(runtime_.executor, std::move(asked));
}

sys::Task<std::vector<wire::CloudHosts>> Accounts::hosts() {
  std::vector<sys::Task<wire::CloudHosts>> asked;
  for (const auto& cloud : clouds()) asked.push_back(hosts_of(cloud));
  co_return co_await sys::gather(runtime_.executor, std::move(asked));
}

}  // namespace godwit::sky
