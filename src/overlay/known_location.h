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
  Places::Shared place;      // of the same host's members; without version. Nothing: nowhere is known

  KnownLocation() = default;
  KnownLocation(Places& places, wire::Location location) : version(location.version) {
    location.version = 0;
    place = places.keep(location);
  }
  // NOLINTNEXTLINE(google-explicit-constructor): it is that
  operator wire::Location() const {
    wire::Location out = place ? *place : wire::Location{};
    out.version = version;
    return out;
  }
};

}  // namespace godwit::overlay
