#include "overlay/hosts.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

std::optional<PublicKey> key_of(const wire::Location& location) {
  const auto bytes = from_hex(location.key);
  PublicKey out{};
  if (!bytes || bytes->size() != out.size()) return std::nullopt;
  std::copy(bytes->begin(), bytes->end(), out.begin());
  return out;
}

}  // namespace

PeerId Hosts::find_or_add(const wire::Location& location) {
  if (location.host.empty() || location.underlay_port == 0) return 0;
  const auto endpoint = sys::parse_udp_endpoint(location.underlay_ip, location.underlay_port);
  const auto key = key_of(location);
  if (!endpoint || !key || *key == seal_.key()) return 0;
  const auto peer = seal_.add(*key);
  if (peer == 0) return 0;
  auto& host = hosts_[peer];
  host.key = *key;
  if (host.configured != *endpoint) host.at = *endpoint;
  host.configured = *endpoint;
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

void Hosts::retain(const std::unordered_set<PeerId>& wanted) {
  for (auto each = hosts_.begin(); each != hosts_.end();) {
    if (wanted.contains(each->first)) {
      ++each;
      continue;
    }
    seal_.remove(each->first);
    each = hosts_.erase(each);
  }
}

}  // namespace godwit::overlay
