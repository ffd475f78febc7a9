#include "sky/plan.h"

#include "base/id.h"
#include "wire/image_names.h"

#include <algorithm>
#include <limits>
#include <set>

namespace godwit::sky {
namespace {

constexpr std::size_t kNameLimit = 40;  // leaves room for "-NNN" in a member's DNS label
constexpr std::size_t kSshKeyLimit = 64;
constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kRoleLimit = 16;

Result<> validate_member(const wire::MemberSpec& member, const std::string& fallback_type) {
  const auto bad = [&](std::string_view rule) {
    return fail(Errc::invalid_argument, "member \"{}\": {}", member.name.substr(0, 64), rule);
  };
  if (!member.name.empty() && !is_label(member.name)) return bad("name must be a DNS label");
  if (member.roles.size() > kRoleLimit || !std::all_of(member.roles.begin(), member.roles.end(), is_label)) {
    return bad("roles must be at most 16 DNS labels");
  }
  const auto type = wire::find_instance_type(member.type.empty() ? fallback_type : member.type);
  if (!type) return pass(type);
  return {};
}

// What is still free of a cloud's quota while members are dealt out.
struct Room {
  const wire::AccountView* account;
  std::int64_t instances;
  std::int64_t vcpus;
  std::int64_t memory_mib;

  explicit Room(const wire::AccountView& view)
      : account(&view),
        instances(std::int64_t{view.quota.instances} - view.used.instances),
        vcpus(std::int64_t{view.quota.vcpus} - view.used.vcpus),
        memory_mib(std::int64_t{view.quota.memory_mib} - view.used.memory_mib) {
    if (!view.reachable) instances = vcpus = memory_mib = std::numeric_limits<std::int64_t>::max();
  }

  [[nodiscard]] bool fits(const wire::InstanceType& type) const {
    return instances >= 1 && vcpus >= type.vcpus && memory_mib >= type.memory_mib;
  }
  void take(const wire::InstanceType& type) {
    instances -= 1;
    vcpus -= type.vcpus;
    memory_mib -= type.memory_mib;
  }
  [[nodiscard]] std::string left() const {
    return fmt::format("{} has room for {} instances, {} vCPUs, {} MiB", account->cloud,
                       std::max<std::int64_t>(instances, 0), std::max<std::int64_t>(vcpus, 0),
                       std::max<std::int64_t>(memory_mib, 0));
  }
};

double price_of(const wire::AccountView& account, const std::string& type) {
  const auto found = account.prices.find(type);
  return found == account.prices.end() ? std::numeric_limits<double>::max() : found->second;
}

// Named clouds in the order of their names; else the reachable ones, cheapest first.
Result<std::vector<Room>> candidates(const wire::ClusterSpec& spec, const std::vector<wire::AccountView>& accounts) {
  std::vector<Room> rooms;
  for (const auto& cloud : spec.clouds) {
    const auto found = std::find_if(accounts.begin(), accounts.end(),
                                    [&](const wire::AccountView& each) { return each.cloud == cloud; });
    if (found == accounts.end()) {
      return fail(Errc::not_found, "cluster {}: no account on a cloud \"{}\" (add it with godwit account add)",
                  spec.name, cloud.substr(0, 64));
    }
    rooms.emplace_back(*found);
  }
  if (!spec.clouds.empty()) return rooms;
  std::string problems;
  for (const auto& account : accounts) {
    if (account.reachable) {
      rooms.emplace_back(account);
    } else {
      problems += "; " + account.problem;
    }
  }
  if (accounts.empty()) {
    return fail(Errc::not_found, "cluster {}: there is no account on any cloud (add one with godwit account add)",
                spec.name);
  }
  if (rooms.empty()) return fail(Errc::unavailable, "cluster {}: no cloud can be reached{}", spec.name, problems);
  std::sort(rooms.begin(), rooms.end(), [&](const Room& a, const Room& b) {
    const auto price_a = price_of(*a.account, spec.type);
    const auto price_b = price_of(*b.account, spec.type);
    return price_a != price_b ? price_a < price_b : a.account->cloud < b.account->cloud;
  });
  return rooms;
}

std::vector<wire::MemberSpec> wanted_members(const wire::ClusterSpec& spec) {
  auto wanted = spec.members;
  if (wanted.empty()) wanted.resize(spec.size);
  std::set<std::string> taken;
  for (const auto& member : wanted) taken.insert(member.name);
  std::size_t number = 0;
  for (auto& member : wanted) {
    while (member.name.empty()) {
      const auto drawn = fmt::format("{}-{}", spec.name, ++number);
      if (taken.insert(drawn).second) member.name = drawn;
    }
    if (member.type.empty()) member.type = spec.type;
  }
  return wanted;
}

Result<std::string> choose_cloud(const wire::ClusterSpec& spec, const wire::MemberSpec& member,
                                 const wire::InstanceType& type, std::vector<Room>& rooms, std::size_t& turn) {
  std::string lacking;
  for (std::size_t tried = 0; tried < rooms.size(); ++tried) {
    auto& room = rooms[(turn + tried) % rooms.size()];
    if (!member.cloud.empty() && room.account->cloud != member.cloud) continue;
    if (!room.fits(type)) {
      lacking += "; " + room.left();
      continue;
    }
    room.take(type);
    if (member.cloud.empty()) turn = (turn + tried + 1) % rooms.size();
    return room.account->cloud;
  }
  if (lacking.empty()) {
    return fail(Errc::not_found, "cluster {}: member {}: cloud \"{}\" is none of the cluster's", spec.name, member.name,
                member.cloud.substr(0, 64));
  }
  return fail(Errc::exhausted, "cluster {}: no room for {} ({}: {} vCPUs, {} MiB){} (ask for fewer or smaller members)",
              spec.name, member.name, type.name, type.vcpus, type.memory_mib, lacking);
}

// Clouds that only members name count as well.
wire::ClusterSpec with_all_clouds(wire::ClusterSpec spec) {
  if (spec.clouds.empty()) return spec;
  for (const auto& member : spec.members) {
    if (!member.cloud.empty() && std::find(spec.clouds.begin(), spec.clouds.end(), member.cloud) == spec.clouds.end()) {
      spec.clouds.push_back(member.cloud);
    }
  }
  return spec;
}

Result<Cidr> cidr_for(const wire::ClusterSpec& spec, std::size_t members,
                      const std::vector<const ClusterRecord*>& others, sys::Random& random) {
  if (!spec.cidr.empty()) {
    auto cidr = parse_cidr(spec.cidr);
    if (!cidr) return fail(cidr, "cluster " + spec.name);
    if (cidr->size() < kFirstMember + members + 1) {
      return fail(Errc::invalid_argument,
                  "cluster {}: {} has no room for {} members (the first {} addresses are reserved)", spec.name,
                  spec.cidr, members, kFirstMember);
    }
    return cidr;
  }
  std::vector<Cidr> taken;
  for (const auto* other : others) {
    if (const auto cidr = parse_cidr(other->network.cidr)) taken.push_back(*cidr);
  }
  return draw_cidr(random, taken);
}

Result<wire::Network> draw_network(const wire::ClusterSpec& spec, std::size_t members,
                                   const std::vector<const ClusterRecord*>& others, sys::Random& random) {
  const auto cidr = cidr_for(spec, members, others, random);
  if (!cidr) return pass(cidr);
  wire::Network network;
  network.id = random.id("net");
  network.name = spec.name;
  network.cidr = cidr->text();
  network.cidr6 = wire::derive_cidr6(network.id);
  network.gateway = cidr->address(1);
  network.domain = spec.name + ".internal";
  ByteVector key(kKeyBytes);
  random.fill(key);
  network.key = to_hex(key);
  const auto taken = [&] {
    return std::any_of(others.begin(), others.end(),
                       [&](const ClusterRecord* other) { return other->network.vni == network.vni; });
  };
  do network.vni = draw_vni(random);
  while (taken());
  return network;
}

}  // namespace

Result<> validate(const wire::ClusterSpec& spec) {
  const auto bad = [&](std::string_view rule) {
    return fail(Errc::invalid_argument, "cluster \"{}\": {}", spec.name.substr(0, 64), rule);
  };
  if (!is_label(spec.name) || spec.name.size() > kNameLimit) {
    return bad("name must be 1 to 40 lower-case letters, digits and hyphens");
  }
  const auto count = spec.members.empty() ? std::size_t{spec.size} : spec.members.size();
  if (count < 1 || count > kMaxMembers) return bad("size must be 1 to 240");
  if (!spec.members.empty() && spec.size != 0 && spec.size != spec.members.size()) {
    return bad("size and members disagree (give one of them)");
  }
  if (!wire::is_image_name(spec.image)) return bad(fmt::format("image must be {}", wire::kImageNameRule));
  if (spec.ssh_keys.size() > kSshKeyLimit) return bad("ssh_keys must be at most 64");
  for (const auto& key : spec.ssh_keys) {
    const bool one_line = key.size() <= 4096 && key.find_first_of("\r\n") == std::string::npos;
    if (!one_line || key.find(' ') == std::string::npos) {
      return bad("ssh_keys must be public keys, one line each (\"ssh-ed25519 AAAA…\")");
    }
  }
  if (std::set<std::string>(spec.clouds.begin(), spec.clouds.end()).size() != spec.clouds.size()) {
    return bad("a cloud is named twice");
  }
  std::set<std::string> names;
  for (const auto& member : spec.members) {
    const auto valid = validate_member(member, spec.type);
    if (!valid) return fail(valid, fmt::format("cluster \"{}\"", spec.name));
    if (!member.name.empty() && !names.insert(member.name).second) return bad("two members have one name");
  }
  const auto type = wire::find_instance_type(spec.type);
  if (!type) return fail(type, fmt::format("cluster \"{}\"", spec.name));
  return {};
}

Result<ClusterRecord> draw_cluster(const wire::ClusterSpec& spec, const std::vector<wire::AccountView>& accounts,
                                   const std::vector<const ClusterRecord*>& others, sys::Random& random, WallTime now) {
  auto rooms = candidates(with_all_clouds(spec), accounts);
  if (!rooms) return pass(rooms);
  const auto wanted = wanted_members(spec);
  auto network = draw_network(spec, wanted.size(), others, random);
  if (!network) return pass(network);
  const auto cidr = parse_cidr(network->cidr);
  if (!cidr) return pass(cidr);

  ClusterRecord record;
  record.spec = spec;
  record.created_ms = now.time_since_epoch().count();
  std::size_t turn = 0;
  for (const auto& member : wanted) {
    const auto type = wire::find_instance_type(member.type);
    if (!type) return pass(type);
    const auto cloud = choose_cloud(spec, member, *type, *rooms, turn);
    if (!cloud) return pass(cloud);
    if (std::find(record.clouds.begin(), record.clouds.end(), *cloud) == record.clouds.end()) {
      record.clouds.push_back(*cloud);
    }
    const auto instance = random.id("i");
    const auto nth = kFirstMember + static_cast<std::uint32_t>(record.members.size());
    record.members.push_back({member.name, instance, *cloud, !member.cloud.empty(), member.type, member.roles});
    network->members.push_back(
        {instance, member.name, draw_mac(random), cidr->address(nth), member.roles, {}, spec.security_groups});
  }
  record.network = std::move(*network);
  for (auto* key : {&record.login, &record.host}) {
    auto drawn = draw_ssh_key(random, spec.name);
    if (!drawn) return pass(drawn);
    *key = std::move(*drawn);
  }
  return record;
}

}  // namespace godwit::sky
