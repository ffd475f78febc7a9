#include "overlay/switch.h"

#include "base/id.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace godwit::overlay {

Switch::Switch(sys::UdpEndpoint address, sys::Random& random, Seal& seal, WallClock wall_clock)
    : self_{"", "", address},
      wall_clock_(std::move(wall_clock)),
      peers_(random),
      announcer_(random),
      forwarder_(segments_, holder_, seal, counters_) {}

Result<> Switch::check(const wire::SwitchConfig& config) const {
  const bool nobody = config.networks.empty() && config.cloud.empty() && config.host.empty();
  if (!nobody && (!is_label(config.cloud) || !is_label(config.host))) {
    return fail(Errc::invalid_argument, "switch config: cloud and host must be DNS labels");
  }
  if (config.networks.size() > kMostNetworks) {
    return fail(Errc::invalid_argument, "switch config: at most {} networks", kMostNetworks);
  }
  std::set<std::string> ids;
  std::set<std::uint32_t> vnis;
  std::set<std::string> namespaces;
  for (const auto& each : config.networks) {
    const auto valid = Segment::check(each);
    if (!valid) return valid;
    const bool own_namespace = each.gateway_namespace.empty() || namespaces.insert(each.gateway_namespace).second;
    if (!ids.insert(each.network.id).second || !vnis.insert(each.network.vni).second || !own_namespace) {
      return fail(Errc::invalid_argument, "network {}: id, vni {} or gateway_namespace is another network's too",
                  each.network.id, each.network.vni);
    }
  }
  return {};
}

Result<> Switch::configure(TimePoint now, const wire::SwitchConfig& config) {
  const auto valid = check(config);
  if (!valid) return valid;
  roster_.trust(config.authorities);
  ++generation_;
  authorities_ = config.authorities;
  self_.cloud = config.cloud;
  self_.host = config.host;
  self_.record = config.record;
  std::set<std::string> wanted;
  for (const auto& each : config.networks) wanted.insert(each.network.id);
  std::vector<std::string> gone;
  for (const auto& [id, segment] : segments_.all()) {
    if (!wanted.contains(id)) gone.push_back(id);
  }
  for (const auto& id : gone) segments_.remove(id);

  for (const auto& each : config.networks) {
    auto* segment = segments_.find(each.network.id);
    if (!segment) segment = &segments_.add(std::make_unique<Segment>(self_, each));
    configure(now, *segment, each);
  }
  segments_.index();
  peers_.update(now, segments_);
  return {};
}

bool Switch::believes(wire::Location& location) {
  if (roster_.check(wall_clock_(), location)) return true;
  counters_.drop(Drop::not_authentic);
  return false;
}

void Switch::configure(TimePoint now, Segment& segment, wire::SwitchNetwork config) {
  for (auto& member : config.network.members) {
    if (!believes(member.location)) member.location = {};
  }
  const auto before = segment.hosts();  // the host that a claimed instance comes from may be on none of the new ones
  const auto claims = segment.configure(now, self_, config);
  std::vector<sys::UdpEndpoint> told;
  std::set_union(before.begin(), before.end(), segment.hosts().begin(), segment.hosts().end(),
                 std::back_inserter(told));
  for (const auto& instance : claims) announcer_.start(now, 0, segment, instance, told, peers_);
}

Result<> Switch::announce(TimePoint now, const wire::SwitchAnnounce& announce, std::uint64_t ticket) {
  auto* segment = segments_.find(announce.network);
  if (!segment) return fail(Errc::not_found, "announce: this switch has no network {}", announce.network.substr(0, 64));
  const auto told = segment->hosts();  // before the claim: the host that it comes from is one of them
  const auto claimed = segment->claim(now, announce.instance, announce.version);
  if (!claimed) return claimed;
  ++generation_;
  announcer_.start(now, ticket, *segment, announce.instance, told, peers_);
  peers_.update(now, segments_);
  return {};
}

Result<Member*> Switch::find_held(const wire::SwitchHold& hold) const {
  auto* segment = segments_.find(hold.network);
  auto* member = segment ? segment->find(hold.instance) : nullptr;
  if (!member) return fail(Errc::not_found, "hold {}: no such member on this switch", hold.instance.substr(0, 64));
  return member;
}

Result<> Switch::hold(TimePoint now, const wire::SwitchHold& hold) {
  const auto member = find_held(hold);
  if (!member) return pass(member);
  if (!(*member)->here) return fail(Errc::not_found, "hold {}: it is not here", hold.instance);
  (*member)->held = true;
  holder_.hold(now, hold.network, hold.instance);
  return {};
}

Result<> Switch::release(TimePoint now, const wire::SwitchHold& hold) {
  const auto member = find_held(hold);
  if (!member) return pass(member);
  holder_.end(now, hold.instance);
  return {};
}

// What was held for instances that have moved, or are not to be held any longer.
void Switch::let_go(TimePoint now, Outbox& out) {
  for (auto& ended : holder_.take_ended(now, segments_)) {
    auto* segment = segments_.find(ended.network);
    auto* member = segment ? segment->find(ended.instance) : nullptr;
    if (!member) continue;
    member->held = false;
    for (const auto& frame : ended.frames) forwarder_.let_go(*segment, *member, frame, out);
  }
}

void Switch::announce_again(TimePoint now) {
  for (const auto& [id, segment] : segments_.all()) {
    for (const auto& [instance, port] : segment->ports()) {
      if (port.active()) announcer_.start(now, 0, *segment, instance, segment->hosts(), peers_);
    }
  }
}

void Switch::attach(const PortName& name, sys::PortHandle handle) {
  auto* segment = segments_.find(name.network);
  if (!segment) return;
  if (name.instance.empty()) {
    segment->gateway_handle = handle;
  } else if (auto* port = segment->find_port(name.instance)) {
    port->handle = handle;
  }
  segments_.index();
}

void Switch::on_packet(TimePoint now, sys::Packet& packet, Outbox& out) {
  if (packet.port != 0) return forwarder_.on_frame(packet, out);
  on_datagram(now, packet, out);
}

void Switch::on_datagram(TimePoint now, sys::Packet& packet, Outbox& out) {
  const auto header = read_header(packet.bytes());
  if (!header) return counters_.drop(Drop::malformed);
  if (header->type == DatagramType::data) return forwarder_.on_data(now, *header, packet, out);
  on_control(now, header->vni, packet, out);
}

void Switch::on_control(TimePoint now, std::uint32_t vni, const sys::Packet& packet, Outbox& out) {
  auto* segment = segments_.find(vni);
  if (!segment) return counters_.drop(Drop::unknown_network);
  const auto control = decode_control(packet.bytes(), segment->key());
  if (!control) return counters_.drop(control.error());
  const auto nonce = control->nonce;
  bool expected = true;
  if (const auto* announce = std::get_if<Announce>(&control->body)) {
    on_announce(now, *segment, packet.peer, nonce, *announce, out);
  } else if (const auto* ack = std::get_if<Ack>(&control->body)) {
    expected = announcer_.on_ack(now, packet.peer, nonce, *ack);
  } else if (std::holds_alternative<Probe>(control->body)) {
    send_control(*segment, packet.peer, {nonce, Pong{}}, out);
  } else {
    expected = peers_.on_pong(now, packet.peer, nonce);
  }
  if (!expected) counters_.drop(Drop::late);
}

void Switch::on_announce(TimePoint now, Segment& segment, const sys::UdpEndpoint& from, std::uint64_t nonce,
                         const Announce& announce, Outbox& out) {
  auto location = announce.location;
  if (!believes(location)) return;
  const auto learned = segment.learn(now, announce.instance, location);
  if (learned == Learned::newer) {
    ++generation_;
    peers_.update(now, segments_);
  }
  if (learned == Learned::newer) let_go(now, out);
  if (nonce == 0) return;
  const auto* member = segment.find(announce.instance);
  send_control(segment, from,
               {nonce, Ack{announce.instance, member ? member->location.version : announce.location.version}}, out);
  // It is behind: what we know better, it wants to know.
  if (learned == Learned::older && member->at && member->at != from) {
    send_control(segment, from, {0, Announce{member->instance, member->location}}, out);
  }
}

void Switch::poll(TimePoint now, Outbox& out) {
  let_go(now, out);
  announcer_.poll(now, segments_, out);
  peers_.poll(now, segments_, out);
}

std::optional<TimePoint> Switch::next_deadline() const {
  std::optional<TimePoint> next;
  for (const auto& each : {announcer_.next_deadline(), peers_.next_deadline(), holder_.next_deadline()}) {
    if (each) next = std::min(next.value_or(*each), *each);
  }
  return next;
}

wire::SwitchConfig Switch::state() const {
  wire::SwitchConfig out;
  out.cloud = self_.cloud;
  out.host = self_.host;
  out.record = self_.record;
  out.authorities = authorities_;
  for (const auto& [id, segment] : segments_.all()) out.networks.push_back(segment->describe(true));
  return out;
}

std::vector<wire::Network> Switch::networks() const {
  std::vector<wire::Network> out;
  for (const auto& [id, segment] : segments_.all()) out.push_back(segment->describe(false).network);
  return out;
}

std::string Switch::network_of(std::uint32_t vni) const {
  const auto* segment = segments_.find(vni);
  return segment ? segment->id() : std::string();
}

}  // namespace godwit::overlay
