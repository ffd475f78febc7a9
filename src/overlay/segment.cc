#include "overlay/segment.h"

#include "base/id.h"
#include "wire/instance.h"

#include <algorithm>
#include <set>

namespace godwit::overlay {
namespace {

constexpr std::uint32_t kMetadataIp = 0xa9fea9fe;  // 169.254.169.254
constexpr std::size_t kMostEarly = 1024;
constexpr std::size_t kMostPorts = 1024;

ByteVector key_of(const wire::Network& network) { return from_hex(network.key).value_or(ByteVector(32)); }

// One field of one entry, or the error that names it.
template <class T>
Result<T> field(const wire::Network& network, std::string_view what, Result<T> value) {
  if (!value) return fail(value, fmt::format("network {}: {}", network.id, what));
  return value;
}

Result<> check_members(const wire::Network& network) {
  std::set<wire::Mac> macs{gateway_mac(network.id)};
  std::set<wire::Ipv4> ips;
  for (const auto& member : network.members) {
    const auto mac = field(network, member.instance, wire::parse_mac(member.mac));
    if (!mac) return pass(mac);
    const auto ip = field(network, member.instance, wire::parse_ipv4(member.ip));
    if (!ip) return pass(ip);
    if (mac->is_group() || !macs.insert(*mac).second || !ips.insert(*ip).second) {
      return fail(Errc::invalid_argument, "network {}: member {}: {} or {} is another's, or no single address",
                  network.id, member.instance, member.mac, member.ip);
    }
  }
  return {};
}

Result<> check_ports(const wire::SwitchNetwork& config) {
  std::set<std::string> instances;
  std::set<std::string> devices;
  for (const auto& port : config.ports) {
    const auto bad = [&](std::string_view rule) {
      return fail(Errc::invalid_argument, "network {}: port of {}: {}", config.network.id,
                  is_id("i", port.instance) ? port.instance : "?", rule);
    };
    if (!is_id("i", port.instance)) return bad("instance must be i- and 17 hex digits");
    if (!instances.insert(port.instance).second) return bad("is there twice");
    const bool leaf = !port.wireguard_key.empty();
    if (leaf && (!port.guest_tap.empty() || !crypto::host_key_from_hex(port.wireguard_key))) {
      return bad("wireguard_key must be 64 hex digits, and guest_tap empty then");
    }
    if (!leaf && (port.guest_tap.empty() || port.guest_tap.size() > 15 || !devices.insert(port.guest_tap).second)) {
      return bad("guest_tap must be a device of its own, of 1 to 15 characters");
    }
    const auto mac = field(config.network, port.instance, wire::parse_mac(port.mac));
    if (!mac) return pass(mac);
    const auto ip = field(config.network, port.instance, wire::parse_ipv4(port.ip));
    if (!ip) return pass(ip);
    if (mac->is_group()) return bad("mac must be a single address");
    if (port.queues < 1 || port.queues > wire::kMostQueuePairs) return bad("queues must be 1 to 8");
  }
  return {};
}

// What is said again in short, as most configurations do, takes no proof away that others may still want to see.
wire::Location with_known_claim(wire::Location said, const wire::Location& known) {
  const bool same = said.version == known.version && said.host == known.host && said.cloud == known.cloud;
  if (same && said.claim.empty()) said.claim = known.claim;
  return said;
}

}  // namespace

bool Port::active() const {
  return member && member->here && member->location.version > 0 && claimed >= member->location.version;
}

wire::Mac gateway_mac(std::string_view network_id) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a
  for (const char each : network_id) hash = (hash ^ static_cast<unsigned char>(each)) * 0x100000001b3ULL;
  return {0x066777000000ULL | (hash >> 40U)};  // locally administered; members' addresses begin otherwise
}

Result<> Segment::check(const wire::SwitchNetwork& config) {
  const auto valid = wire::validate(config.network);
  if (!valid) return valid;
  const auto gateway = field(config.network, "gateway", wire::parse_ipv4(config.network.gateway));
  if (!gateway) return pass(gateway);
  const auto cidr = field(config.network, "cidr", wire::parse_ipv4_prefix(config.network.cidr));
  if (!cidr) return pass(cidr);
  if (!cidr->contains(*gateway)) {
    return fail(Errc::invalid_argument, "network {}: gateway {} must lie in {}", config.network.id,
                config.network.gateway, config.network.cidr);
  }
  const auto name = config.gateway_namespace;
  if (name.size() > 64 || name == "." || name == ".." || name.find_first_of(std::string_view("/\0", 2)) != name.npos) {
    return fail(Errc::invalid_argument, "network {}: gateway_namespace must be a file name", config.network.id);
  }
  if (config.lan_device.size() > 15) {
    return fail(Errc::invalid_argument, "network {}: lan_device must be a device, of 15 characters at most",
                config.network.id);
  }
  if (config.ports.size() > kMostPorts) {
    return fail(Errc::invalid_argument, "network {}: at most {} ports", config.network.id, kMostPorts);
  }
  const auto members = check_members(config.network);
  if (!members) return members;
  return check_ports(config);
}

Segment::Segment(Self self, Hosts& hosts, const wire::SwitchNetwork& config)
    : self_(std::move(self)),
      all_hosts_(hosts),
      network_(config.network),
      gateway_mac_(gateway_mac(config.network.id)),
      key_(key_of(config.network)) {
  network_.members.clear();
  network_.members.shrink_to_fit();
}

std::vector<std::string> Segment::configure(TimePoint now, const Self& self, const wire::SwitchNetwork& config) {
  self_ = self;
  if (config.network.key != network_.key) key_ = crypto::MacKey(key_of(config.network));
  network_ = config.network;
  network_.members.clear();
  network_.members.shrink_to_fit();
  groups_ = SecurityGroups(network_.groups);
  gateway_namespace_ = config.gateway_namespace;
  gateway_ip_ = *wire::parse_ipv4(network_.gateway);
  prefix6_.reset();
  if (!network_.cidr6.empty()) prefix6_ = *wire::parse_ipv6_prefix(network_.cidr6);
  take_uplink(now, config);
  take_members(now, config.network.members);
  take_ports(config.ports);
  index();

  auto claims = take_claims(now, config.ports);
  refresh_hosts();
  return claims;
}

std::vector<std::string> Segment::take_claims(TimePoint now, const std::vector<wire::SwitchPort>& ports) {
  std::vector<std::string> claims;
  for (const auto& wanted : ports) {
    const auto& port = ports_.at(wanted.instance);
    if (!port.member) continue;
    auto& location = find(wanted.instance)->location;
    const auto proof = port.claimed == wanted.version ? wanted.claim : std::string();
    if (port.claimed == location.version && port.member->here && location.claim.empty()) location.claim = proof;
    if (port.claimed <= location.version) continue;
    if (claim(now, wanted.instance, port.claimed, proof)) claims.push_back(wanted.instance);
  }
  return claims;
}

void Segment::take_uplink(TimePoint now, const wire::SwitchNetwork& config) {
  const auto& uplink = config.network.uplink;
  lan_device_ = config.lan_device;
  const bool ours = !uplink.host.empty() && uplink.cloud == self_.cloud && uplink.host == self_.host;
  is_uplink_ = ours && !lan_device_.empty();
  lan_lease_ = config.lan_lease;
  uplink_ = ours ? kNobody : all_hosts_.find_or_add(now, uplink);
  limit_lan();
}

void Segment::lease_lan(std::uint64_t version, TimePoint until) {
  lease_ = {version, until};
  limit_lan();
}

void Segment::limit_lan() {
  bridges_until_ = TimePoint::min();
  if (!is_uplink_) return;
  if (lan_lease_ == 0) bridges_until_ = TimePoint::max();
  if (lan_lease_ != 0 && lease_.version == lan_lease_) bridges_until_ = lease_.until;
}

bool Segment::settle_lan(TimePoint now) {
  const bool before = std::exchange(bridged_, bridges(now));
  if (bridged_ && !before && lan_handle != 0) place_all();
  return bridged_ != before;
}

void Segment::lan_attached(sys::PortHandle handle) {
  if (handle == lan_handle) return;
  lan_handle = handle;
  if (handle != 0 && is_uplink_) place_all();
}

void Segment::place_all() {
  for (const auto& [id, member] : members_) placed_.push_back(member.instance());
}

void Segment::take_members(TimePoint now, const std::vector<wire::Member>& members) {
  std::map<InstanceId, Member> old;
  old.swap(members_);
  GroupMask of_all = 0;
  for (const auto& wanted : members) {
    const auto id = read_instance_id(wanted.instance).value();
    auto found = old.extract(id);
    auto& member = found ? members_.insert(std::move(found)).position->second : members_[id];
    member.id = id;
    member.name = wanted.name;
    member.roles = all_hosts_.roles().keep(wanted.roles);
    member.groups = groups_.mask_of(wanted.groups);
    of_all |= member.groups;
    member.mac = *wire::parse_mac(wanted.mac);
    member.ip = *wire::parse_ipv4(wanted.ip);
    member.port = nullptr;
    if (wanted.location.version >= member.location.version) {
      place(now, member, with_known_claim(wanted.location, member.location));
    }
    take_early(now, member);
  }
  filtered_ = !groups_.open(of_all);
}

// Announced before the configuration had it.
void Segment::take_early(TimePoint now, Member& member) {
  const auto early = early_.extract(member.instance());
  if (!early || early.mapped().version <= member.location.version) return;
  const auto location =
      all_hosts_.proven(member.location, {network_.id, network_.vni, member.instance()}, std::move(early.mapped()));
  if (location) place(now, member, *location);
}

void Segment::take_ports(const std::vector<wire::SwitchPort>& ports) {
  std::map<std::string, Port> old;
  old.swap(ports_);
  for (const auto& wanted : ports) {
    auto found = old.extract(wanted.instance);
    auto& port = found ? ports_.insert(std::move(found)).position->second : ports_[wanted.instance];
    port.instance = wanted.instance;
    port.mac = *wire::parse_mac(wanted.mac);
    port.ip = *wire::parse_ipv4(wanted.ip);
    port.guest_device = wanted.guest_tap;
    port.queues = wanted.queues;
    port.leaf_key.reset();
    if (const auto key = crypto::host_key_from_hex(wanted.wireguard_key)) port.leaf_key = *key;
    port.claimed = std::max(port.claimed, wanted.version);
  }
}

void Segment::index() {
  by_mac_.begin(members_.size());
  by_ip_.begin(members_.size());
  for (auto& [id, member] : members_) {
    by_mac_.add(member);
    by_ip_.add(member);
  }
  for (auto& [instance, port] : ports_) {
    auto* member = find(instance);
    port.member = member;
    if (member) member->port = &port;
  }
}

// The only place where a member changes its location.
void Segment::place(TimePoint now, Member& member, const wire::Location& location) {
  const bool was_here = member.here;
  const auto was_at = member.at;
  member.here = location.version > 0 && location.cloud == self_.cloud && location.host == self_.host;
  member.at = 0;
  // Where we are, nobody knows better: a cloud whose agent has just been restarted may not know it at all.
  auto known = location;
  if (member.here) {
    known.underlay_ip = sys::ip_to_string(self_.address);
    known.underlay_port = self_.address.port;
    known.record = self_.record;
  } else {
    member.at = all_hosts_.find_or_add(now, location);
  }
  member.location = {all_hosts_.places(), known};
  if (is_uplink_) placed_.push_back(member.instance());
  if (was_here && !member.here) member.forward_until = now + kForwardStrays;
  if (was_at != 0 && was_at != member.at && !has_ended(location, all_hosts_.wall_now())) {
    std::erase_if(former_, [&](const auto& each) { return each.second <= now; });
    former_[was_at] = now + kFormerHost;
  }
}

Learned Segment::learn(TimePoint now, const std::string& instance, const wire::Location& location) {
  auto* member = find(instance);
  if (!member) {
    auto& early = early_[instance];
    if (location.version > early.version) early = location;
    if (early_.size() > kMostEarly) early_.erase(early_.begin());
    return Learned::unknown_member;
  }
  const wire::Location known = member->location;
  if (location.version < known.version) return Learned::older;
  if (location.version == known.version) {
    return location.cloud == known.cloud && location.host == known.host ? Learned::known : Learned::unproven;
  }
  const auto proven = all_hosts_.proven(known, {network_.id, network_.vni, instance}, location);
  if (!proven) return Learned::unproven;
  place(now, *member, *proven);
  refresh_hosts();
  return Learned::newer;
}

Result<> Segment::claim(TimePoint now, const std::string& instance, std::uint64_t version, const std::string& proof) {
  auto* member = find(instance);
  auto* port = find_port(instance);
  if (!member || !port) {
    return fail(Errc::not_found, "announce {}: network {} has no such {} on this host", instance, network_.id,
                member ? "port" : "member");
  }
  const bool ours = member->here && member->location.version == version;
  if (version == 0 || (version <= member->location.version && !ours)) {
    return fail(Errc::conflict, "announce {} with version {}: version {} is at {}.{} already", instance, version,
                member->location.version, wire::Location(member->location).host,
                wire::Location(member->location).cloud);
  }
  port->claimed = std::max(port->claimed, version);
  place(now, *member,
        {self_.cloud, self_.host, sys::ip_to_string(self_.address), self_.address.port, version, self_.record,
         proof.empty() && ours ? member->location.claim : proof});
  refresh_hosts();
  return {};
}

void Segment::end_locations(WallTime now) {
  if (now < next_end_) return;
  for (auto& [instance, member] : members_) {
    if (has_ended(member.location, now)) member.at = 0;
  }
  refresh_hosts();
}

void Segment::refresh_hosts() {
  host_set_.clear();
  next_end_ = WallTime::max();
  for (const auto& [id, member] : members_) {
    if (member.at == 0) continue;
    host_set_.insert(member.at);
    if (member.location.until_ms != 0) next_end_ = std::min(next_end_, WallTime(Millis(member.location.until_ms)));
  }
  if (uplink_ != kNobody) host_set_.insert(uplink_);
  hosts_.assign(host_set_.begin(), host_set_.end());
  std::sort(hosts_.begin(), hosts_.end());
}

Member* Segment::find(const wire::Ipv6& ip) {
  if (const auto mac = wire::mac_of_link_local(ip)) return find(*mac);
  const bool ours = prefix6_ && ip.high == prefix6_->address.high && ip.low >> 32U == 0;
  return ours ? find(wire::Ipv4{static_cast<std::uint32_t>(ip.low)}) : nullptr;
}

Member* Segment::find(const std::string& instance) {
  const auto id = read_instance_id(instance);
  const auto found = id ? members_.find(*id) : members_.end();
  return found == members_.end() ? nullptr : &found->second;
}

Port* Segment::find_port(const std::string& instance) {
  const auto found = ports_.find(instance);
  return found == ports_.end() ? nullptr : &found->second;
}

bool Segment::accepts_from(TimePoint now, PeerId host) const {
  if (host_set_.contains(host)) return true;
  const auto found = former_.find(host);
  return found != former_.end() && now < found->second;
}

void Segment::add_hosts(std::unordered_set<PeerId>& out) const {
  out.insert(host_set_.begin(), host_set_.end());
  for (const auto& [host, until] : former_) out.insert(host);
}

bool Segment::is_gateway_ip(wire::Ipv4 ip) const { return ip == gateway_ip_ || ip.bits == kMetadataIp; }

bool Segment::is_gateway_ip(const wire::Ipv6& ip) const {
  return ip == wire::link_local_of(gateway_mac_) || ip == ipv6_of(gateway_ip_);
}

std::optional<wire::Ipv6> Segment::ipv6_of(wire::Ipv4 member) const {
  if (!prefix6_) return std::nullopt;
  return wire::member_address(*prefix6_, member);
}

wire::SwitchNetwork Segment::describe(bool with_key) const {
  wire::SwitchNetwork out;
  out.network = network_;
  if (!with_key) out.network.key.clear();
  for (const auto& [id, member] : members_) {
    out.network.members.push_back({to_string(id), member.name, to_string(member.mac), to_string(member.ip),
                                   *member.roles, member.location, groups_.names_of(member.groups)});
  }
  for (const auto& [instance, port] : ports_) {
    out.ports.push_back({instance, to_string(port.mac), to_string(port.ip), port.guest_device, port.claimed, "",
                         port.leaf_key ? to_hex(*port.leaf_key) : std::string(), port.queues});
  }
  out.gateway_namespace = gateway_namespace_;
  out.lan_device = lan_device_;
  out.lan_lease = lan_lease_;
  return out;
}

}  // namespace godwit::overlay
