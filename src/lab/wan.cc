#include "lab/wan.h"

#include "base/bytes.h"

#include <algorithm>

namespace godwit::lab {
namespace {

// RFC 791.
constexpr std::size_t kLeastHeader = 20;
constexpr std::size_t kSourceAt = 12;
constexpr std::size_t kDestinationAt = 16;

bool is_ipv4(const Slot& packet) {
  return packet.size >= kLeastHeader && (std::to_integer<unsigned>(packet.bytes[0]) >> 4U) == 4;
}

// Each way has its own sequence of losses, whatever else is in the table.
std::uint64_t seed_of(std::uint64_t seed, const WanRow& row) {
  std::uint64_t mixed = seed;
  for (const std::uint64_t part : {std::uint64_t{row.from}, std::uint64_t{row.to}, std::uint64_t{row.source.address},
                                   std::uint64_t{row.destination.address}}) {
    mixed = (mixed ^ part) * 0x9E3779B97F4A7C15ULL;  // 2^64 / golden ratio
    mixed ^= mixed >> 32U;
  }
  return mixed;
}

}  // namespace

Wan::Wan(WanSetup setup) : ports_(std::move(setup.ports)), seed_(setup.seed) { reshape(TimePoint{}, setup.table); }

void Wan::reshape(TimePoint now, const WanTable& table) {
  std::vector<Lane> next;
  for (const WanRow& row : table) {
    const auto old = std::ranges::find_if(lanes_, [&row](const Lane& lane) { return lane.row.same_way(row); });
    if (old == lanes_.end()) {
      next.push_back({row, Link(row.shape, seed_of(seed_, row)), false});
      continue;
    }
    old->link.reshape(now, row.shape);
    next.push_back({row, std::move(old->link), false});
    lanes_.erase(old);
  }
  for (Lane& lane : lanes_) {
    if (!lane.link.next_deadline()) continue;
    lane.retired = true;
    next.push_back(std::move(lane));
  }
  lanes_ = std::move(next);
}

std::optional<std::uint32_t> Wan::port_of(std::uint32_t address) const {
  for (std::uint32_t i = 0; i < ports_.size(); ++i) {
    for (const Ipv4Prefix& prefix : ports_[i].prefixes) {
      if (prefix.contains(address)) return i;
    }
  }
  return std::nullopt;
}

void Wan::accept(TimePoint now, std::uint32_t port, Packet packet) {
  if (!is_ipv4(*packet)) {
    ++counters_.malformed;
    return;
  }
  const ByteView bytes(packet->bytes);
  const std::uint32_t source = load_be32(bytes.subspan(kSourceAt, 4));
  const std::uint32_t destination = load_be32(bytes.subspan(kDestinationAt, 4));
  if (port_of(source) != port) {
    ++counters_.foreign;
    return;
  }
  const auto to = port_of(destination);
  for (Lane& lane : lanes_) {
    if (lane.retired || lane.row.from != port || lane.row.to != to || !lane.row.source.contains(source) ||
        !lane.row.destination.contains(destination)) {
      continue;
    }
    lane.link.offer(now, std::move(packet));
    return;
  }
  ++counters_.unroutable;
}

std::optional<TimePoint> Wan::next_deadline() const {
  std::optional<TimePoint> first;
  for (const Lane& lane : lanes_) {
    const auto due = lane.link.next_deadline();
    if (due && (!first || *due < *first)) first = due;
  }
  return first;
}

void Wan::deliver_due(TimePoint now, const std::function<void(std::uint32_t, Packet)>& deliver) {
  for (Lane& lane : lanes_) {
    while (Packet packet = lane.link.take_due(now)) deliver(lane.row.to, std::move(packet));
  }
}

WanCounters Wan::counters() const {
  WanCounters counters = counters_;
  for (const Lane& lane : lanes_) {
    if (!lane.retired) counters.rows.push_back({lane.row.from, lane.row.to, lane.link.counters()});
  }
  return counters;
}

}  // namespace godwit::lab
