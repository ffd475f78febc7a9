#include "sim/nat.h"

#include <algorithm>

namespace godwit::sim {
namespace {

constexpr int kDraws = 64;            // for a free port
constexpr int kMostTranslations = 8;  // of one datagram: realms don't nest deeper
constexpr std::uint16_t kFirstPort = 1024;

sys::UdpEndpoint scoped(NatScope scope, const sys::UdpEndpoint& other) {
  if (scope == NatScope::endpoint) return {};
  auto out = other;
  if (scope == NatScope::address) out.port = 0;
  return out;
}

}  // namespace

Nat::Mapping* Nat::find(TimePoint now, std::uint16_t port) {
  const auto at = mappings_.find(port);
  if (at == mappings_.end()) return nullptr;
  if (now - at->second.used <= spec_.timeout) return &at->second;
  by_key_.erase(at->second.key);
  mappings_.erase(at);
  return nullptr;
}

std::optional<std::uint16_t> Nat::draw_port(TimePoint now, std::uint16_t wish) {
  if (spec_.preserves_ports && wish != 0 && !find(now, wish)) return wish;
  for (int i = 0; i < kDraws; ++i) {
    const auto port = static_cast<std::uint16_t>(kFirstPort + random_() % (65'536 - kFirstPort));
    if (!find(now, port)) return port;
  }
  return std::nullopt;
}

Nat::Key Nat::key_of(TimePoint now, const sys::UdpEndpoint& inside, const sys::UdpEndpoint& to) {
  const Key key{inside, scoped(spec_.mapping, to)};
  const Key apart{inside, to};
  if (!spec_.answers_strangers) return key;
  const auto given = by_key_.find(apart);
  const auto* flow = given == by_key_.end() ? nullptr : find(now, given->second);
  if (flow && now - flow->used <= NatSpec::kStrangerTimeout) return apart;  // nobody answers it either
  const auto usual = by_key_.find(key);
  const auto* mapping = usual == by_key_.end() ? nullptr : find(now, usual->second);
  const auto sent = mapping ? mapping->sent_to.find(scoped(spec_.filtering, to)) : decltype(mapping->sent_to.end()){};
  if (mapping && sent != mapping->sent_to.end() && now - sent->second <= spec_.timeout) return key;
  const auto stranger = strangers_.find({to, mapping ? usual->second : inside.port});
  const bool taken = stranger != strangers_.end() && now - stranger->second <= NatSpec::kStrangerTimeout;
  return taken ? apart : key;
}

std::optional<sys::UdpEndpoint> Nat::translate_out(TimePoint now, const sys::UdpEndpoint& inside,
                                                   const sys::UdpEndpoint& to) {
  if (spec_.refuses_udp) return std::nullopt;
  const auto key = key_of(now, inside, to);
  const auto known = by_key_.find(key);
  auto* mapping = known == by_key_.end() ? nullptr : find(now, known->second);
  if (!mapping) {
    const bool apart = spec_.answers_strangers && key.second;
    const auto port = draw_port(now, apart ? std::uint16_t{0} : inside.port);
    if (!port) return std::nullopt;
    by_key_[key] = *port;
    mapping = &(mappings_[*port] = {key, now, {}});
  }
  mapping->used = now;
  mapping->sent_to[scoped(spec_.filtering, to)] = now;
  auto out = outside_;
  out.port = by_key_.at(key);
  return out;
}

std::optional<sys::UdpEndpoint> Nat::translate_in(TimePoint now, const sys::UdpEndpoint& from,
                                                  const sys::UdpEndpoint& outside) {
  if (!is_at(outside)) return std::nullopt;
  auto* mapping = find(now, outside.port);
  if (mapping) {
    const auto sent = mapping->sent_to.find(scoped(spec_.filtering, from));
    if (sent != mapping->sent_to.end() && now - sent->second <= spec_.timeout) return mapping->key.first;
  }
  if (spec_.answers_strangers) strangers_[{from, outside.port}] = now;
  return std::nullopt;
}

NatRealms::Realm NatRealms::add_realm(Realm parent, NatSpec spec, const sys::UdpEndpoint& outside, std::uint64_t seed) {
  sites_.push_back({parent, Nat(spec, outside, seed)});
  return sites_.size();
}

std::size_t NatRealms::add_host(Realm realm, const sys::UdpEndpoint& address) {
  hosts_.push_back({realm, address});
  return hosts_.size() - 1;
}

std::optional<std::size_t> NatRealms::host_at(Realm realm, const sys::UdpEndpoint& endpoint) const {
  const auto at =
      std::ranges::find_if(hosts_, [&](const Host& each) { return each.realm == realm && each.address == endpoint; });
  if (at == hosts_.end()) return std::nullopt;
  return static_cast<std::size_t>(at - hosts_.begin());
}

std::optional<NatRealms::Realm> NatRealms::realm_behind(Realm parent, const sys::UdpEndpoint& endpoint) const {
  const auto at =
      std::ranges::find_if(sites_, [&](const Site& each) { return each.parent == parent && each.nat.is_at(endpoint); });
  if (at == sites_.end()) return std::nullopt;
  return static_cast<Realm>(at - sites_.begin()) + 1;
}

std::optional<NatRealms::Flight> NatRealms::depart(TimePoint now, std::size_t host, sys::UdpEndpoint to) {
  auto realm = hosts_.at(host).realm;
  auto from = hosts_.at(host).address;
  for (int i = 0; i < kMostTranslations; ++i) {
    if (host_at(realm, to) || realm_behind(realm, to)) return Flight{realm, from, to};
    if (realm == 0) return std::nullopt;  // nobody is there
    auto& site = sites_[realm - 1];
    const auto outside = site.nat.translate_out(now, from, to);
    if (!outside) return std::nullopt;
    from = *outside;
    if (!site.nat.is_at(to)) {
      realm = site.parent;
      continue;
    }
    const auto inside = site.nat.spec().hairpins ? site.nat.translate_in(now, from, to) : std::nullopt;
    if (!inside) return std::nullopt;
    to = *inside;
  }
  return std::nullopt;
}

std::optional<NatRealms::Arrival> NatRealms::arrive(TimePoint now, const Flight& flight) {
  auto realm = flight.realm;
  auto to = flight.to;
  for (int i = 0; i < kMostTranslations; ++i) {
    if (const auto found = host_at(realm, to)) return Arrival{*found, flight.from, to};
    const auto inner = realm_behind(realm, to);
    const auto inside = inner ? nat(*inner).translate_in(now, flight.from, to) : std::nullopt;
    if (!inside) return std::nullopt;
    realm = *inner;
    to = *inside;
  }
  return std::nullopt;
}

std::size_t NatRealms::host_towards(const Flight& flight) const {
  if (const auto found = host_at(flight.realm, flight.to)) return *found;
  const auto realm = realm_behind(flight.realm, flight.to);
  const auto at = std::ranges::find_if(hosts_, [&](const Host& each) { return realm && each.realm == *realm; });
  return at == hosts_.end() ? 0 : static_cast<std::size_t>(at - hosts_.begin());
}

}  // namespace godwit::sim
