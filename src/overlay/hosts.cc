#include "overlay/hosts.h"

namespace godwit::overlay {

PeerId Hosts::find_or_add(const wire::Location& location) {
  if (location.host.empty() || location.underlay_port == 0) return kNobody;
  const auto endpoint = sys::parse_udp_endpoint(location.underlay_ip, location.underlay_port);
  const auto* record = roster_.find(wall_(), location.cloud, location.host);
  if (!endpoint || !record || record->profile != crypto::SessionProfile::native) return kNobody;
  const auto peer = seal_.add({record->key, {}, Profile::native});
  if (peer == kNobody) return kNobody;
  auto& host = hosts_[peer];
  if (host.configured != *endpoint) host.at = *endpoint;
  host.configured = *endpoint;
  return peer;
}

PeerId Hosts::introduce(TimePoint now, const crypto::PublicKey& key, ByteView record) {
  const auto host = roster_.admit(wall_(), record);
  if (!host || host->key != key || host->profile != crypto::SessionProfile::native) return kNobody;
  const auto peer = seal_.add({key, {}, Profile::native});
  if (peer != kNobody) hosts_[peer].introduced_until = now + kIntroducedFor;
  return peer;
}

void Hosts::heard(PeerId peer, const sys::UdpEndpoint& from) {
  const auto found = hosts_.find(peer);
  if (found != hosts_.end()) found->second.at = from;
}

sys::UdpEndpoint Hosts::endpoint(PeerId peer) const {
  const auto found = hosts_.find(peer);
  return found == hosts_.end() ? sys::UdpEndpoint{} : found->second.at;
}

void Hosts::retain(TimePoint now, const std::unordered_set<PeerId>& wanted) {
  for (auto each = hosts_.begin(); each != hosts_.end();) {
    if (wanted.contains(each->first) || now < each->second.introduced_until) {
      ++each;
      continue;
    }
    seal_.remove(each->first);
    each = hosts_.erase(each);
  }
}

}  // namespace godwit::overlay
