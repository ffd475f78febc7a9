#include "agent/metadata.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

namespace godwit::agent {
namespace {

// The versions that cloud-init 22.4 and the AWS tools ask for.
constexpr std::array<std::string_view, 6> kVersions{"1.0",        "2009-04-04", "2016-09-02",
                                                    "2018-09-24", "2021-03-23", "latest"};
constexpr int kTokenLifeLimit_s = 21'600;  // six hours, as on EC2
constexpr std::size_t kTokensPerGuest = 64;

sys::HttpResponse text(std::string body) {
  sys::HttpResponse response;
  response.body = std::move(body);
  response.headers["content-type"] = "text/plain";
  return response;
}

sys::HttpResponse status(int code, std::string_view reason) {
  auto response = text(fmt::format("{} {}\n", code, reason));
  response.status = code;
  return response;
}

std::string ip_of(std::string_view remote) {
  const auto colon = remote.rfind(':');
  return std::string(remote.substr(0, colon));
}

std::string identity_document(const Guest& guest) {
  wire::json::object document;
  document["instanceId"] = guest.spec.id;
  document["instanceType"] = guest.spec.type;
  document["imageId"] = guest.spec.image;
  document["privateIp"] = guest.spec.interface.ip;
  document["region"] = guest.cloud;
  document["availabilityZone"] = guest.cloud;
  document["accountId"] = guest.spec.tenant;
  document["architecture"] = "x86_64";
  document["version"] = "2017-09-30";
  return wire::print_json_pretty(document);
}

}  // namespace

std::map<std::string, std::string> metadata_tree(const Guest& guest) {
  const auto& spec = guest.spec;
  const auto fqdn = guest.domain.empty() ? spec.name : spec.name + "." + guest.domain;
  std::map<std::string, std::string> tree{
      {"ami-id", spec.image},
      {"ami-launch-index", "0"},
      {"hostname", fqdn},
      {"instance-action", "none"},
      {"instance-id", spec.id},
      {"instance-life-cycle", "on-demand"},
      {"instance-type", spec.type},
      {"local-hostname", fqdn},
      {"local-ipv4", spec.interface.ip},
      {"mac", spec.interface.mac},
      {"placement/availability-zone", guest.cloud},
      {"placement/region", guest.cloud},
      {"reservation-id", "r" + spec.id.substr(1)},
      {"security-groups", "default"},
      {"tags/instance/Name", spec.name},
  };
  if (!spec.cluster.empty()) tree["tags/instance/godwit-cluster"] = spec.cluster;
  if (!spec.roles.empty()) tree["tags/instance/godwit-roles"] = fmt::format("{}", fmt::join(spec.roles, ","));
  for (std::size_t i = 0; i < spec.ssh_keys.size(); ++i) {
    tree[fmt::format("public-keys/{}/openssh-key", i)] = spec.ssh_keys[i];
  }
  const auto interface = fmt::format("network/interfaces/macs/{}/", spec.interface.mac);
  tree[interface + "device-number"] = "0";
  tree[interface + "interface-id"] = "eni" + spec.id.substr(1);
  tree[interface + "local-hostname"] = fqdn;
  tree[interface + "local-ipv4s"] = spec.interface.ip;
  tree[interface + "mac"] = spec.interface.mac;
  tree[interface + "owner-id"] = spec.tenant;
  tree[interface + "subnet-id"] = spec.interface.network;
  tree[interface + "subnet-ipv4-cidr-block"] = guest.cidr;
  tree[interface + "vpc-id"] = spec.interface.network;  // without it cloud-init takes the instance for "EC2 Classic"
  return tree;
}

std::optional<std::string> look_up(const std::map<std::string, std::string>& tree, std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  if (const auto leaf = tree.find(std::string(path)); leaf != tree.end()) return leaf->second;

  const auto prefix = path.empty() ? std::string() : std::string(path) + "/";
  std::set<std::string> names;
  for (auto each = tree.lower_bound(prefix); each != tree.end() && each->first.starts_with(prefix); ++each) {
    const auto rest = std::string_view(each->first).substr(prefix.size());
    const auto slash = rest.find('/');
    // EC2 lists keys as "0=name"; their directory is then asked for as "0/".
    if (path == "public-keys") {
      names.insert(fmt::format("{0}=key-{0}", rest.substr(0, slash)));
    } else {
      names.insert(std::string(rest.substr(0, slash == std::string_view::npos ? slash : slash + 1)));
    }
  }
  if (names.empty()) return std::nullopt;
  return fmt::format("{}", fmt::join(names, "\n"));
}

Metadata::Metadata(sys::Clock& clock, sys::Random& random, std::function<void(const std::string&)> on_ready)
    : clock_(clock), random_(random), on_ready_(std::move(on_ready)) {}

void Metadata::set_guests(const std::vector<Guest>& guests) {
  std::map<std::string, Entry> next;
  for (const auto& guest : guests) {
    auto& entry = next[guest.spec.interface.ip];
    const auto before = by_ip_.find(guest.spec.interface.ip);
    if (before != by_ip_.end() && before->second.guest.spec.id == guest.spec.id) entry.tokens = before->second.tokens;
    entry.tree = metadata_tree(guest);
    entry.guest = guest;
  }
  by_ip_ = std::move(next);
}

sys::HttpResponse Metadata::issue_token(Entry& entry, const sys::HttpRequest& request) {
  const auto asked = request.headers.find("x-aws-ec2-metadata-token-ttl-seconds");
  const std::string_view digits = asked == request.headers.end() ? std::string_view() : asked->second;
  int life_s = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), life_s);
  if (read.ec != std::errc{} || read.ptr != digits.data() + digits.size() || life_s < 1 || life_s > kTokenLifeLimit_s) {
    return status(400, "X-aws-ec2-metadata-token-ttl-seconds must be 1 to 21600");
  }
  const auto now = clock_.now();
  std::erase_if(entry.tokens, [&](const auto& each) { return each.second <= now; });
  if (entry.tokens.size() >= kTokensPerGuest) {
    entry.tokens.erase(std::min_element(entry.tokens.begin(), entry.tokens.end(),
                                        [](const auto& a, const auto& b) { return a.second < b.second; }));
  }
  std::array<std::byte, 24> random{};
  random_.fill(random);
  auto token = to_base64url(random);
  entry.tokens[token] = now + Seconds{life_s};
  auto response = text(std::move(token));
  response.headers["x-aws-ec2-metadata-token-ttl-seconds"] = digits;
  return response;
}

bool Metadata::holds_token(Entry& entry, const sys::HttpRequest& request) {
  const auto shown = request.headers.find("x-aws-ec2-metadata-token");
  if (shown == request.headers.end()) return false;
  const auto known = entry.tokens.find(shown->second);
  return known != entry.tokens.end() && known->second > clock_.now();
}

sys::HttpResponse Metadata::answer(const sys::HttpRequest& request) {
  const auto found = by_ip_.find(ip_of(request.remote));
  if (found == by_ip_.end()) return status(404, "no instance of this network has your address");
  auto& entry = found->second;
  std::string_view path = request.path;
  while (path.starts_with('/')) path.remove_prefix(1);

  if (path == "godwit/ready" || path == "godwit/ready/") {
    if (request.method != "POST" && request.method != "PUT") return status(405, "POST says that the guest is ready");
    on_ready_(entry.guest.spec.id);
    return text("ok\n");
  }
  if (path == "latest/api/token") {
    return request.method == "PUT" ? issue_token(entry, request) : status(405, "PUT gives a token");
  }
  if (request.method != "GET" && request.method != "HEAD") return status(405, "only GET");
  if (!holds_token(entry, request)) return status(401, "PUT /latest/api/token gives the token that is needed");
  if (path.empty()) return text(fmt::format("{}", fmt::join(kVersions, "\n")));

  const auto slash = path.find('/');
  const auto version = path.substr(0, slash);
  if (std::find(kVersions.begin(), kVersions.end(), version) == kVersions.end()) return status(404, "no such version");
  auto rest = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  if (rest.empty()) return text("dynamic\nmeta-data\nuser-data");
  if (rest == "user-data" || rest == "user-data/") {
    const auto& data = entry.guest.spec.user_data;
    return data.empty() ? status(404, "no user data") : text(data);
  }
  if (rest == "dynamic" || rest.starts_with("dynamic/")) {
    // cloud-init asks for the directory first, and without an answer again and again for five seconds of each boot.
    const std::map<std::string, std::string> dynamic{{"instance-identity/document", identity_document(entry.guest)}};
    rest.remove_prefix(std::min<std::size_t>(rest.size(), 8));
    if (auto content = look_up(dynamic, rest)) return text(std::move(*content));
  }
  if (rest == "meta-data" || rest.starts_with("meta-data/")) {
    rest.remove_prefix(std::min<std::size_t>(rest.size(), 10));
    if (auto content = look_up(entry.tree, rest)) return text(std::move(*content));
  }
  return status(404, "no such path");
}

}  // namespace godwit::agent
