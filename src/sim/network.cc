#include "sim/network.h"

#include "sim/connection.h"
#include "sim/host.h"

#include <algorithm>

namespace godwit::sim {
namespace {

constexpr LinkSpec kLan{std::chrono::microseconds{100}, 0};

std::pair<std::string, std::string> unordered(const std::string& a, const std::string& b) {
  return a < b ? std::pair{a, b} : std::pair{b, a};
}

}  // namespace

void Network::set_link(const std::string& a, const std::string& b, LinkSpec spec) {
  specs_[unordered(a, b)] = spec;
  for (auto& [pair, each] : links_) {
    if (unordered(pair.first, pair.second) == unordered(a, b)) each.spec = spec;
  }
}

Network::Link& Network::link(const Host& from, const Host& to) {
  const auto [found, added] = links_.try_emplace({from.site(), to.site()});
  if (added) {
    const auto spec = specs_.find(unordered(from.site(), to.site()));
    const LinkSpec standard = from.site() == to.site() ? kLan : LinkSpec{};
    found->second.spec = spec == specs_.end() ? standard : spec->second;
  }
  return found->second;
}

Nanos Network::delay(const Host& from, const Host& to) const {
  if (&from == &to) return std::chrono::microseconds{10};
  return const_cast<Network*>(this)->link(from, to).spec.delay;
}

std::uint64_t Network::window_bytes(const Host& from, const Host& to) const {
  return &from == &to ? LinkSpec{}.window_bytes : const_cast<Network*>(this)->link(from, to).spec.window_bytes;
}

void Network::set_nic(const std::string& host, std::uint64_t out_bytes_per_s, std::uint64_t in_bytes_per_s) {
  auto& nic = nics_[&world_.host(host)];
  nic.out.bytes_per_s = out_bytes_per_s;
  nic.in.bytes_per_s = in_bytes_per_s;
}

std::uint64_t Network::carried(const std::string& from_site, const std::string& to_site) const {
  const auto found = links_.find({from_site, to_site});
  return found == links_.end() ? 0 : found->second.carried;
}

TimePoint Network::Queue::pass(TimePoint now, std::size_t bytes) {
  if (bytes_per_s == 0) return now;
  free_at = std::max(free_at, now);
  free_at += Nanos(static_cast<std::int64_t>(bytes) * 1'000'000'000 / static_cast<std::int64_t>(bytes_per_s));
  return free_at;
}

TimePoint Network::arrival(const Host& from, const Host& to, std::size_t bytes) {
  if (&from == &to) return world_.now() + delay(from, to);
  Link& over = link(from, to);
  over.carried += bytes;
  over.queue.bytes_per_s = over.spec.bytes_per_s;
  auto at = over.queue.pass(world_.now(), bytes);
  if (const auto nic = nics_.find(&from); nic != nics_.end())
    at = std::max(at, nic->second.out.pass(world_.now(), bytes));
  if (const auto nic = nics_.find(&to); nic != nics_.end()) at = std::max(at, nic->second.in.pass(world_.now(), bytes));
  return at + over.spec.delay;
}

void Network::cut(const std::string& a, const std::string& b) {
  world_.trace("cut " + a + " " + b);
  cuts_.insert(unordered(a, b));
  for (const auto& each : connections_) each.second->on_cut();
}

void Network::heal(const std::string& a, const std::string& b) {
  world_.trace("heal " + a + " " + b);
  cuts_.erase(unordered(a, b));
  wake_stalled();
}

void Network::heal_all() {
  world_.trace("heal all");
  cuts_.clear();
  wake_stalled();
}

void Network::wake_stalled() {
  for (const auto& each : connections_) each.second->on_heal();
}

bool Network::is_cut(const Host& a, const Host& b) const {
  if (&a == &b || cuts_.empty()) return false;
  for (const auto& left : {a.name(), a.site()}) {
    for (const auto& right : {b.name(), b.site()}) {
      if (cuts_.contains(unordered(left, right))) return true;
    }
  }
  return false;
}

Host* Network::by_ip(const std::string& ip) const {
  const auto found = by_ip_.find(ip);
  return found == by_ip_.end() ? nullptr : found->second;
}

void Network::add(Host& host) { by_ip_[host.ip()] = &host; }

}  // namespace godwit::sim
