#include "overlay/switch.h"

#include "base/id.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace godwit::overlay {
namespace {

constexpr Seconds kSweepEvery{1};  // at the earliest: what will never be whole is given up

}  // namespace

Switch::Switch(sys::UdpEndpoint address, sys::Random& random, Seal& seal)
    : self_{"", "", address, to_hex(seal.key())},
      seal_(seal),
      hosts_(seal),
      peers_(random),
      announcer_(random),
      forwarder_(segments_, holder_, counters_) {}

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
  ++generation_;
  self_.cloud = config.cloud;
  self_.host = config.host;
  std::set<std::string> wanted;
  for (const auto& each : config.networks) wanted.insert(each.network.id);
  std::vector<std::string> gone;
  for (const auto& [id, segment] : segments_.all()) {
    if (!wanted.contains(id)) gone.push_back(id);
  }
  for (const auto& id : gone) segments_.remove(id);

  for (const auto& each : config.networks) {
    auto* segment = segments_.find(each.network.id);
    if (!segment) segment = &segments_.add(std::make_unique<Segment>(self_, hosts_, each));
    configure(now, *segment, each);
  }
  segments_.index();
  refresh_hosts(now);
  return {};
}

void Switch::configure(TimePoint now, Segment& segment, const wire::SwitchNetwork& config) {
  const auto before = segment.hosts();  // the host that a claimed instance comes from may be on none of the new ones
  const auto claims = segment.configure(now, self_, config);
  std::vector<PeerId> told;
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
  refresh_hosts(now);
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

void Switch::refresh_hosts(TimePoint now) {
  peers_.update(now, segments_);
  std::unordered_set<PeerId> wanted;
  for (const auto& [id, segment] : segments_.all()) segment->add_hosts(wanted);
  announcer_.add_hosts(wanted);
  hosts_.retain(wanted);
  std::erase_if(assemblers_, [&](const auto& each) { return !wanted.contains(each.first); });
}

void Switch::on_packet(TimePoint now, const sys::Packet& packet, Outbox& out) {
  if (packet.port != 0) return forwarder_.on_frame(packet, out);
  const auto one = packet.segment == 0 ? packet.bytes.size() : packet.segment;
  for (auto rest = packet.bytes; !rest.empty(); rest = rest.subspan(std::min(one, rest.size()))) {
    on_datagram(now, packet.peer, rest.first(std::min(one, rest.size())), out);
  }
}

void Switch::on_datagram(TimePoint now, const sys::UdpEndpoint& from, ByteSpan datagram, Outbox& out) {
  const auto opened = seal_.open(now, from, datagram);
  if (opened.what == Opened::What::dropped) return counters_.drop(Drop::not_authentic);
  if (opened.peer != 0) hosts_.heard(opened.peer, from);
  if (opened.what != Opened::What::data) return send_of_sessions(out);
  const auto assembler = assemblers_.try_emplace(opened.peer, buffers_).first;
  records_.clear();
  if (!assembler->second.on_slice(opened.session, opened.counter, opened.payload, records_)) {
    counters_.drop(Drop::malformed);
  }
  for (const auto& record : records_) on_record(now, opened.peer, record, out);
}

void Switch::on_record(TimePoint now, PeerId from, const Record& record, Outbox& out) {
  switch (record.header.kind) {
    case RecordKind::frame:
    case RecordKind::super_frame: return forwarder_.on_record(now, from, record.header, record.payload, out);
    case RecordKind::control: return on_control(now, from, record, out);
    default: return counters_.drop(Drop::unsupported);
  }
}

void Switch::on_control(TimePoint now, PeerId from, const Record& record, Outbox& out) {
  auto* segment = segments_.find(record.header.vni);
  if (!segment) return counters_.drop(Drop::unknown_network);
  const auto control = decode_control(record.header.vni, record.payload, segment->key());
  if (!control) return counters_.drop(control.error());
  const auto nonce = control->nonce;
  bool expected = true;
  if (const auto* announce = std::get_if<Announce>(&control->body)) {
    on_announce(now, *segment, from, nonce, *announce, out);
  } else if (const auto* ack = std::get_if<Ack>(&control->body)) {
    expected = announcer_.on_ack(now, from, nonce, *ack);
  } else if (std::holds_alternative<Probe>(control->body)) {
    send_control(*segment, from, {nonce, Pong{}}, out);
  } else {
    expected = peers_.on_pong(now, from, nonce);
  }
  if (!expected) counters_.drop(Drop::late);
}

void Switch::on_announce(TimePoint now, Segment& segment, PeerId from, std::uint64_t nonce, const Announce& announce,
                         Outbox& out) {
  const auto learned = segment.learn(now, announce.instance, announce.location);
  if (learned == Learned::newer) {
    ++generation_;
    refresh_hosts(now);
    let_go(now, out);
  }
  if (nonce == 0) return;
  const auto* member = segment.find(announce.instance);
  send_control(segment, from,
               {nonce, Ack{announce.instance, member ? member->location.version : announce.location.version}}, out);
  // It is behind: what we know better, it wants to know.
  if (learned == Learned::older && member->at != 0 && member->at != from) {
    send_control(segment, from, {0, Announce{member->instance, member->location}}, out);
  }
}

void Switch::seal(TimePoint now, Outbox& out) {
  out.seal(now, seal_, hosts_, counters_);
  send_of_sessions(out);
}

// Handshakes and the like, which are sealed already.
void Switch::send_of_sessions(Outbox& out) {
  for (const auto& each : seal_.take_out()) {
    const auto to = each.to ? each.to : hosts_.endpoint(each.peer);
    if (to && !out.to_endpoint(to, each.bytes)) counters_.drop(Drop::crowded);
  }
}

void Switch::poll(TimePoint now, Outbox& out) {
  let_go(now, out);
  announcer_.poll(now, segments_, out);
  peers_.poll(now, segments_, out);
  seal_.poll(now);
  send_of_sessions(out);
  if (now >= next_sweep_) {
    next_sweep_ = now + kSweepEvery;
    for (auto& [peer, assembler] : assemblers_) assembler.sweep();
  }
}

std::optional<TimePoint> Switch::next_deadline() const {
  std::optional<TimePoint> next;
  for (const auto& each : {announcer_.next_deadline(), peers_.next_deadline(), holder_.next_deadline(), seal_.next_deadline()}) {
    if (each) next = std::min(next.value_or(*each), *each);
  }
  return next;
}

wire::SwitchConfig Switch::state() const {
  wire::SwitchConfig out;
  out.cloud = self_.cloud;
  out.host = self_.host;
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
