#include "overlay/hosts.h"

namespace godwit::overlay {

Hosts::Host& Hosts::add(PeerId peer, const crypto::PublicKey& key) {
  const auto [at, added] = hosts_.try_emplace(peer);
  if (added) {
    at->second.address = crypto::host_address(key);
    by_address_[at->second.address] = peer;
  }
  return at->second;
}

PeerId Hosts::find_or_add(TimePoint now, const wire::Location& location) {
  if (location.host.empty() || location.underlay_port == 0 || has_ended(location, wall_())) return kNobody;
  const auto endpoint = sys::parse_udp_endpoint(location.underlay_ip, location.underlay_port);
  const auto* record = roster_.find(wall_(), location.cloud, location.host);
  if (!endpoint || !record || record->profile != crypto::SessionProfile::native) return kNobody;
  const auto peer = seal_.add(now, {record->key, {}, Profile::native}, *endpoint);
  if (peer != kNobody) static_cast<void>(add(peer, record->key));
  return peer;
}

Result<wire::Location> Hosts::proven(const wire::Location& before, const Claimed& of, wire::Location said) const {
  const auto until = prove(before, of, said, roster_.authorities(), wall_());
  if (!until) return pass(until);
  said.until_ms = until->time_since_epoch().count();
  return said;
}

Result<PeerId> Hosts::dial(TimePoint now, const wire::SwitchPoint& point) {
  const auto bytes = crypto::statement_from_text(point.record);
  if (!bytes) return pass(bytes);
  const auto record = roster_.admit(wall_(), *bytes);
  if (!record) return pass(record);
  return find_or_add(now, {record->cloud, record->host, point.ip, point.port, 0, {}});
}

PeerId Hosts::introduce(TimePoint now, const crypto::PublicKey& key, ByteView record) {
  const auto host = roster_.admit(wall_(), record);
  if (!host || host->key != key || host->profile != crypto::SessionProfile::native) return kNobody;
  const auto peer = seal_.add(now, {key, {}, Profile::native}, {});
  if (peer != kNobody) add(peer, key).introduced_until = now + kIntroducedFor;
  return peer;
}

PeerId Hosts::find(const HostAddress& address) const {
  const auto found = by_address_.find(address);
  return found == by_address_.end() ? kNobody : found->second;
}

const HostAddress* Hosts::address(PeerId peer) const {
  const auto found = hosts_.find(peer);
  return found == hosts_.end() ? nullptr : &found->second.address;
}

void Hosts::retain(TimePoint now, const std::unordered_set<PeerId>& wanted) {
  for (auto each = hosts_.begin(); each != hosts_.end();) {
    if (wanted.contains(each->first) || now < each->second.introduced_until) {
      ++each;
      continue;
    }
    seal_.remove(each->first);
    by_address_.erase(each->second.address);
    each = hosts_.erase(each);
  }
}

}  // namespace godwit::overlay
