#include "placement/scheduler.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

namespace godwit::placement {
namespace {

struct Objection {
  Errc code;
  std::string reason;
};

bool has(const std::vector<std::string>& all, const std::string& one) {
  return one.empty() || std::find(all.begin(), all.end(), one) != all.end();
}

std::uint32_t free_of(std::uint32_t capacity, std::uint32_t used) { return capacity > used ? capacity - used : 0; }

std::optional<Objection> room_objection(const wire::HostCapacity& asked, const HostOffer& offer) {
  const auto vcpus = free_of(offer.capacity.vcpus, offer.used.vcpus);
  const auto memory = free_of(offer.capacity.memory_mib, offer.used.memory_mib);
  const auto disk = free_of(offer.capacity.disk_gib, offer.used.disk_gib);
  std::string lacks;
  const auto check = [&](std::uint32_t want, std::uint32_t is, std::string_view what) {
    if (want > is) lacks += fmt::format("{}{} of {} {} free", lacks.empty() ? "" : ", ", is, want, what);
  };
  check(asked.vcpus, vcpus, "vCPUs");
  check(asked.memory_mib, memory, "MiB memory");
  check(asked.disk_gib, disk, "GiB disk");
  if (lacks.empty()) return {};
  return Objection{Errc::exhausted, lacks};
}

bool has_image(const Demand& demand, const HostOffer& offer) {
  return std::any_of(offer.images.begin(), offer.images.end(),
                     [&](const wire::ImageReport& image) { return image.sha256 == demand.image_sha256; });
}

// What speaks against `offer`, what changes least first: a full host that could never take it is not "full".
std::optional<Objection> objection(const Demand& demand, const HostOffer& offer) {
  if (offer.name == demand.not_host) return Objection{Errc::conflict, "it is there already"};
  if (!offer.alive) return Objection{Errc::unavailable, "not heard from"};
  if (!demand.accelerator.empty() && offer.accelerator != demand.accelerator) {
    return Objection{Errc::unsupported,
                     fmt::format("has accelerator {}, not {}", offer.accelerator.empty() ? "none" : offer.accelerator,
                                 demand.accelerator)};
  }
  if (!has(offer.machine_types, demand.machine_type)) {
    return Objection{Errc::unsupported, "does not offer machine type " + demand.machine_type};
  }
  if (demand.machine_type.empty() && newest_q35(offer.machine_types).empty()) {
    return Objection{Errc::unsupported, "offers no q35 machine type"};
  }
  if (!has(offer.cpu_models, demand.cpu_model)) {
    return Objection{Errc::unsupported, "does not offer CPU model " + demand.cpu_model};
  }
  if (offer.queue_pairs < demand.queue_pairs) {
    return Objection{Errc::unsupported,
                     fmt::format("gives network devices {} pairs of queues at most, not {}: update it",
                                 offer.queue_pairs, demand.queue_pairs)};
  }
  if (!demand.image_comes && !has_image(demand, offer)) {
    return Objection{Errc::unavailable, fmt::format("does not have image {} (sha256 {}…)", demand.image,
                                                    demand.image_sha256.substr(0, 12))};
  }
  return room_objection(demand.room, offer);
}

// Larger is better. Memory is what a host runs out of first; vCPUs are overcommitted.
double free_share(const Demand& demand, const HostOffer& offer) {
  const auto left = free_of(offer.capacity.memory_mib, offer.used.memory_mib + demand.room.memory_mib);
  return offer.capacity.memory_mib == 0 ? 0 : static_cast<double>(left) / offer.capacity.memory_mib;
}

bool is_better(const Demand& demand, const HostOffer& one, const HostOffer& other) {
  const bool has = has_image(demand, one);
  if (has != has_image(demand, other)) return has;
  const double share = free_share(demand, one);
  const double other_share = free_share(demand, other);
  return share > other_share || (share == other_share && one.name < other.name);
}

// The kind of failure that a caller can do most about: room may come back, a missing feature will not.
Errc worst(const std::vector<Errc>& codes) {
  for (const auto code : {Errc::exhausted, Errc::unavailable, Errc::unsupported}) {
    if (std::find(codes.begin(), codes.end(), code) != codes.end()) return code;
  }
  return Errc::conflict;
}

}  // namespace

Result<std::string> choose_host(const Demand& demand, const std::vector<HostOffer>& offers) {
  const HostOffer* best = nullptr;
  std::vector<Errc> codes;
  std::string reasons;
  for (const auto& offer : offers) {
    if (!demand.host.empty() && offer.name != demand.host) continue;
    if (auto against = objection(demand, offer)) {
      codes.push_back(against->code);
      reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", offer.name, against->reason);
      continue;
    }
    if (!best || is_better(demand, offer, *best)) best = &offer;
  }
  if (best) return best->name;
  if (!demand.host.empty() && codes.empty()) return fail(Errc::not_found, "host {}: no such host here", demand.host);
  if (codes.empty()) return fail(Errc::unavailable, "no host has joined this cloud yet");
  return fail(worst(codes), "no host can take {} vCPU, {} MiB, {} GiB ({})", demand.room.vcpus, demand.room.memory_mib,
              demand.room.disk_gib, reasons);
}

std::string newest_q35(const std::vector<std::string>& machine_types) {
  constexpr std::string_view kPrefix = "pc-q35-";
  std::string newest;
  std::pair<int, int> newest_version{0, 0};
  for (const auto& type : machine_types) {
    if (!type.starts_with(kPrefix)) continue;
    const char* const end = type.data() + type.size();
    std::pair<int, int> version{0, 0};
    const auto major = std::from_chars(type.data() + kPrefix.size(), end, version.first);
    if (major.ec != std::errc{} || major.ptr == end || *major.ptr != '.') continue;
    const auto minor = std::from_chars(major.ptr + 1, end, version.second);
    if (minor.ec != std::errc{} || minor.ptr != end || version <= newest_version) continue;
    newest_version = version;
    newest = type;
  }
  return newest;
}

}  // namespace godwit::placement
