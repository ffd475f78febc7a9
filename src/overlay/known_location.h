// Where a member is, as a switch keeps it: all that is the same for each member of a host is there once. Pure.
#pragma once

#include "overlay/interned.h"
#include "wire/network.h"

namespace godwit::overlay {

struct HashOfPlace {
  std::size_t operator()(const wire::Location& place) const {
    const std::hash<std::string> hash;
    return (hash(place.cloud) * 31 + hash(place.host)) * 31 + hash(place.record);
  }
};
struct HashOfRoles {
  std::size_t operator()(const std::vector<std::string>& roles) const {
    std::size_t out = roles.size();
    for (const auto& each : roles) out = out * 31 + std::hash<std::string>{}(each);
    return out;
  }
};
using Places = Interned<wire::Location, HashOfPlace>;
using Roles = Interned<std::vector<std::string>, HashOfRoles>;

struct KnownLocation {
  std::uint64_t version{0};  // 0: nowhere
  std::int64_t until_ms{0};  // as in wire::Location
  std::string claim;         // likewise; few have one
  Places::Shared place;      // of the same host's members; without those. Nothing: nowhere is known

  KnownLocation() = default;
  KnownLocation(Places& places, wire::Location location)
      : version(location.version), until_ms(location.until_ms), claim(std::move(location.claim)) {
    location.version = 0;
    location.until_ms = 0;
    location.claim.clear();
    place = places.keep(location);
  }
  // NOLINTNEXTLINE(google-explicit-constructor): it is that
  operator wire::Location() const {
    wire::Location out = place ? *place : wire::Location{};
    out.version = version;
    out.until_ms = until_ms;
    out.claim = claim;
    return out;
  }
};

}  // namespace godwit::overlay
