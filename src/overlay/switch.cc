#include "overlay/switch.h"

#include "base/id.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace godwit::overlay {
namespace {

constexpr Seconds kSweepEvery{1};  // at the earliest: what will never be whole is given up
// Of one peer, until the next sweep: each has cost signatures to check. Then nothing that it announces is looked at.
constexpr unsigned kMostUnproven = 64;
// The end of what a clock may say: 100 years after a start.
constexpr std::int64_t kLatest_ms = 100LL * 365 * 24 * 3600 * 1000;

}  // namespace

Switch::Switch(sys::UdpEndpoint address, sys::Random& random, Seal& seal, WallClock wall_clock)
    : self_{"", "", address},
      wall_clock_(std::move(wall_clock)),
      seal_(seal),
      flows_(random),
      hosts_(seal, roster_, wall_clock_),
      host_network_(seal.key(), hosts_, counters_),
      peers_(random),
      announcer_(random),
      leaves_(seal_),
      forwarder_(segments_, holder_, counters_, flows_),
      interval_({counters_, flows_, segments_, hosts_, roster_, seal_, peers_}) {
  std::array<std::byte, 8> seed{};
  random.fill(seed);
  segments_.connection_budget().seed = load_be64(seed);
  seal_.set_introduction([this](TimePoint now, const crypto::PublicKey& key, ByteView record, PeerId known) {
    const auto introduced = hosts_.introduce(now, key, record);
    return known != kNobody ? known : introduced;
  });
}

Result<> Switch::check(const wire::SwitchConfig& config) const {
  const bool nobody = config.networks.empty() && config.cloud.empty() && config.host.empty();
  if (!nobody && (!is_label(config.cloud) || !is_label(config.host))) {
    return fail(Errc::invalid_argument, "switch config: cloud and host must be DNS labels");
  }
  if (config.networks.size() > kMostNetworks) {
    return fail(Errc::invalid_argument, "switch config: at most {} networks", kMostNetworks);
  }
  if (config.peers.size() > kMostDialled || config.host_ports.size() > HostNetwork::kMostPorts) {
    return fail(Errc::invalid_argument, "switch config: at most {} peers and {} ports of this host", kMostDialled,
                HostNetwork::kMostPorts);
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
  const auto trusted = roster_.trust(config.authorities);
  if (!trusted) return fail(trusted, "switch config");
  ++generation_;
  authorities_ = config.authorities;
  self_.cloud = config.cloud;
  self_.host = config.host;
  self_.record = config.record;
  seal_.set_address(now, self_.address);
  const auto shown = seal_.set_record(now, crypto::statement_from_text(config.record).value_or(ByteVector{}));
  if (!shown) return fail(shown, "switch config: record");
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
  dialled_ = config.peers;
  host_ports_ = config.host_ports;
  host_network_.open(host_ports_);
  segments_.index();
  settle_lans(now);
  refresh_hosts(now);
  return {};
}

void Switch::lease(TimePoint now, const std::vector<wire::SwitchLease>& leases) {
  for (const auto& each : leases) {
    if (auto* segment = segments_.find(each.network)) {
      segment->lease_lan(each.version, TimePoint(Millis(std::clamp<std::int64_t>(each.until_ms, 0, kLatest_ms))));
    }
  }
  settle_lans(now);
}

void Switch::settle_lans(TimePoint now) {
  next_lan_end_ = TimePoint::max();
  for (const auto& [id, segment] : segments_.all()) {
    lans_changed_ |= segment->settle_lan(now);
    next_lan_end_ = std::min(next_lan_end_, segment->lan_end(now));
  }
}

bool Switch::believes(const wire::Location& location) {
  if (roster_.check(wall_clock_(), location)) return true;
  counters_.drop(Drop::not_authentic);
  return false;
}

void Switch::configure(TimePoint now, Segment& segment, wire::SwitchNetwork config) {
  for (auto& member : config.network.members) {
    if (!believes(member.location)) member.location = {};
  }
  if (!believes(config.network.uplink)) config.network.uplink = {};
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
  const auto claimed = segment->claim(now, announce.instance, announce.version, announce.claim);
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
  hosts_.begin_all(now);
  for (const auto& [id, segment] : segments_.all()) {
    for (const auto& [instance, port] : segment->ports()) {
      if (port.active()) announcer_.start(now, 0, *segment, instance, segment->hosts(), peers_);
    }
  }
}

void Switch::attach(const PortName& name, sys::PortHandle handle) {
  if (name.network.empty()) return host_network_.attach(handle);
  auto* segment = segments_.find(name.network);
  if (!segment) return;
  if (name.instance.empty()) {
    segment->gateway_handle = handle;
  } else if (name.instance == kLanPort) {
    segment->lan_attached(handle);
  } else if (auto* port = segment->find_port(name.instance)) {
    port->handle = handle;
  }
  segments_.index();
}

void Switch::refresh_hosts(TimePoint now) {
  peers_.update(now, segments_);
  leaves_.update(now, segments_);
  lan_announcer_.take(now, segments_);
  std::unordered_set<PeerId> wanted;
  for (const auto& [id, segment] : segments_.all()) segment->add_hosts(wanted);
  announcer_.add_hosts(wanted);
  for (const auto& each : dialled_) {
    const auto peer = hosts_.dial(now, each);
    if (peer && *peer != kNobody) wanted.insert(*peer);
  }
  hosts_.retain(now, wanted);
  std::erase_if(assemblers_, [&](const auto& each) { return !hosts_.knows(each.first); });
}

void Switch::on_packet(TimePoint now, const sys::Packet& packet, Outbox& out) {
  if (packet.port != 0 && packet.port == host_network_.handle()) return host_network_.on_frame(packet, out);
  if (packet.port != 0) return forwarder_.on_frame(now, packet, out);
  const auto one = packet.segment == 0 ? packet.bytes.size() : packet.segment;
  for (auto rest = packet.bytes; !rest.empty(); rest = rest.subspan(std::min(one, rest.size()))) {
    on_datagram(now, packet.peer, rest.first(std::min(one, rest.size())), out);
  }
}

void Switch::on_datagram(TimePoint now, const sys::UdpEndpoint& from, ByteSpan datagram, Outbox& out) {
  const auto opened = seal_.on_datagram(now, from, datagram);
  if (opened.ready) out.on_ready(opened.peer);
  if (opened.what == Heard::handshake) return send_of_sessions(now, out);
  if (opened.what == Heard::dropped) {
    counters_.drop(Drop::not_authentic);
    return send_of_sessions(now, out);  // a cookie, perhaps
  }
  if (opened.what != Heard::data) return;
  if (const auto* leaf = leaves_.find(opened.peer)) return forwarder_.on_leaf(now, *leaf, opened.payload, out);
  const auto assembler = assemblers_.try_emplace(opened.peer, buffers_).first;
  records_.clear();
  if (!assembler->second.on_slice(now, opened.session, opened.counter, opened.payload, records_)) {
    counters_.drop(Drop::malformed);
  }
  if (assembler->second.deadline() && std::ranges::find(joining_, opened.peer) == joining_.end()) {
    joining_.push_back(opened.peer);
  }
  for (const auto& record : records_) on_record(now, opened.peer, record, out);
}

void Switch::on_record(TimePoint now, PeerId from, const Record& record, Outbox& out) {
  switch (record.header.kind) {
    case RecordKind::frame:
    case RecordKind::super_frame:
      if (record.header.vni == HostNetwork::kVni) {
        return host_network_.on_record(from, record.header, record.payload, out);
      }
      return forwarder_.on_record(now, from, record.header, record.payload, out);
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
  const auto found = unproven_.find(from);
  if (found != unproven_.end() && found->second >= kMostUnproven) return counters_.drop(Drop::unproven);
  if (!believes(announce.location)) return;
  const auto learned = segment.learn(now, announce.instance, announce.location);
  if (learned == Learned::unproven) {
    ++unproven_[from];
    return counters_.drop(Drop::unproven);
  }
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
    send_control(segment, from, {0, Announce{member->instance(), member->location}}, out);
  }
}

void Switch::seal(TimePoint now, Outbox& out) {
  out.seal(now, seal_, counters_);
  send_of_sessions(now, out);
}

// What of their records is lost, and what can be had without.
void Switch::join(TimePoint now, Outbox& out) {
  for (std::size_t i = 0; i < joining_.size();) {
    const auto peer = joining_[i];
    const auto found = assemblers_.find(peer);
    records_.clear();
    if (found != assemblers_.end()) found->second.poll(now, records_);
    for (const auto& record : records_) on_record(now, peer, record, out);
    if (found != assemblers_.end() && found->second.deadline()) {
      ++i;
    } else {
      joining_.erase(joining_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
}

// Handshakes, words about paths and to the relay: sealed already.
void Switch::send_of_sessions(TimePoint now, Outbox& out) {
  for (const auto& each : seal_.take_out(now)) {
    if (!out.to_endpoint(each.to, each.bytes)) counters_.drop(Drop::crowded);
  }
}

void Switch::poll(TimePoint now, Outbox& out) {
  let_go(now, out);
  join(now, out);
  announcer_.poll(now, segments_, out);
  if (now >= next_lan_end_) settle_lans(now);
  lan_announcer_.take(now, segments_);
  lan_announcer_.poll(now, segments_, out, counters_);
  peers_.poll(now, segments_, out);
  seal_.poll(now);
  send_of_sessions(now, out);
  interval_.poll(now, wall_clock_());
  if (now >= next_sweep_) {
    next_sweep_ = now + kSweepEvery;
    for (auto& [peer, assembler] : assemblers_) assembler.sweep();
    unproven_.clear();
    for (const auto& [id, segment] : segments_.all()) segment->end_locations(wall_clock_());
    out.sweep(now, counters_);
  }
}

std::optional<TimePoint> Switch::next_deadline() const {
  std::optional<TimePoint> next;
  for (const auto& each : {announcer_.next_deadline(), lan_announcer_.next_deadline(), peers_.next_deadline(),
                           holder_.next_deadline(), seal_.next_deadline()}) {
    if (each) next = std::min(next.value_or(*each), *each);
  }
  if (next_lan_end_ != TimePoint::max()) next = std::min(next.value_or(next_lan_end_), next_lan_end_);
  for (const auto peer : joining_) {
    const auto found = assemblers_.find(peer);
    const auto at = found == assemblers_.end() ? std::nullopt : found->second.deadline();
    if (at) next = std::min(next.value_or(*at), *at);
  }
  return next;
}

wire::SwitchConfig Switch::state() const {
  wire::SwitchConfig out;
  out.cloud = self_.cloud;
  out.host = self_.host;
  out.record = self_.record;
  out.authorities = authorities_;
  out.peers = dialled_;
  out.host_ports = host_ports_;
  for (const auto& [id, segment] : segments_.all()) out.networks.push_back(segment->describe(true));
  return out;
}

std::vector<wire::Network> Switch::networks() const {
  std::vector<wire::Network> out;
  for (const auto& [id, segment] : segments_.all()) out.push_back(segment->describe(false).network);
  return out;
}

wire::Observation Switch::observe(TimePoint now) {
  interval_.poll(now, wall_clock_());
  auto out = interval_.describe(now);
  out.cloud = self_.cloud;
  out.host = self_.host;
  return out;
}

std::string Switch::network_of(std::uint32_t vni) const {
  const auto* segment = segments_.find(vni);
  return segment ? segment->id() : std::string();
}

}  // namespace godwit::overlay
