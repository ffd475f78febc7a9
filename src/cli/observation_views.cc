#include "cli/observation_views.h"

#include "cli/table.h"
#include "cli/text.h"
#include "cli/views.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace godwit::cli {
namespace {

constexpr double kMuchLoss = 0.02;  // TCP over a WAN is visibly slow from here

// Members by MAC and by IP.
std::map<std::string, std::string> names_of(const wire::Network& network) {
  std::map<std::string, std::string> names;
  for (const auto& each : network.members) names[each.mac] = names[each.ip] = each.name;
  if (!network.gateway.empty()) names[network.gateway] = "gateway";
  return names;
}

// Only members, groups and the network's gateway ever stand in a pair.
std::string end_of(const std::map<std::string, std::string>& names, const std::string& mac) {
  const auto found = names.find(mac);
  if (found != names.end()) return found->second;
  if (mac == "ff:ff:ff:ff:ff:ff") return "(broadcast)";
  if (mac.starts_with("01:") || mac.starts_with("33:33:")) return "(multicast)";
  return names.empty() ? mac : "(gateway)";
}

std::string address_of(const std::map<std::string, std::string>& names, const std::string& ip, std::uint16_t port) {
  const auto found = names.find(ip);
  const auto& name = found != names.end() ? found->second : ip;
  if (port == 0) return name;
  return name.contains(':') ? fmt::format("[{}]:{}", name, port) : fmt::format("{}:{}", name, port);
}

struct Rate {
  double bytes_s{0};
  double packets_s{0};

  void add(std::uint64_t bytes, std::uint64_t packets, std::uint32_t interval_ms) {
    if (interval_ms == 0) return;
    bytes_s += static_cast<double>(bytes) * 1000 / interval_ms;
    packets_s += static_cast<double>(packets) * 1000 / interval_ms;
  }
};

std::string bytes_s_text(double bytes_s) { return bytes_text(static_cast<std::uint64_t>(bytes_s)) + "/s"; }

template <class Key>
std::vector<std::pair<Key, Rate>> largest(const std::map<Key, Rate>& rates, std::size_t most) {
  std::vector<std::pair<Key, Rate>> out(rates.begin(), rates.end());
  std::ranges::stable_sort(out, [](const auto& a, const auto& b) { return a.second.bytes_s > b.second.bytes_s; });
  if (out.size() > most) out.resize(most);
  return out;
}

std::string problems_text(const wire::NetworkObservation& seen) {
  std::string out;
  for (const auto& each : seen.problems) out += fmt::format("! {}\n", printable(each));
  return out;
}

std::string host_name(const std::string& cloud, const std::string& host) {
  return host.empty() ? "(unknown)" : fmt::format("{}/{}", cloud, host);
}

// What is wrong with a peer, the worst having the highest rank.
struct Trouble {
  int rank{0};
  std::string what;
};

Trouble trouble_of(const wire::PeerStatus& peer) {
  if (peer.path == wire::PathKind::none) return {4, "no way to it is known"};
  if (!peer.session_s) return {3, "no session"};
  if (peer.loss && *peer.loss >= kMuchLoss) return {2, "loses datagrams"};
  if (peer.path == wire::PathKind::relayed) return {1, "only by the relay"};
  return {};
}

}  // namespace

std::string top_text(const wire::NetworkObservation& seen, std::size_t pairs, std::size_t flows) {
  const auto names = names_of(seen.network);
  std::map<std::pair<std::string, std::string>, Rate> pair_rates;
  std::map<std::tuple<std::string, std::string, std::string>, Rate> flow_rates;
  for (const auto& host : seen.hosts) {
    for (const auto& each : host.pairs) {
      pair_rates[{end_of(names, each.source_mac), end_of(names, each.destination_mac)}].add(each.bytes, each.packets,
                                                                                            host.interval_ms);
    }
    for (const auto& each : host.flows) {
      flow_rates[{each.protocol, address_of(names, each.source_ip, each.source_port),
                  address_of(names, each.destination_ip, each.destination_port)}]
          .add(each.bytes, each.packets, host.interval_ms);
    }
  }
  auto out = problems_text(seen);
  if (pair_rates.empty()) return out + "Nothing was said in the last seconds.\n";
  Table by_pair({{"FROM"}, {"TO"}, {"BYTES/S", Align::right}, {"PACKETS/S", Align::right}});
  for (const auto& [ends, rate] : largest(pair_rates, pairs)) {
    by_pair.add({ends.first, ends.second, bytes_s_text(rate.bytes_s), fmt::format("{:.0f}", rate.packets_s)});
  }
  out += by_pair.text();
  if (flow_rates.empty()) return out;
  Table by_flow({{"FLOW"}, {"FROM"}, {"TO"}, {"BYTES/S", Align::right}, {"PACKETS/S", Align::right}});
  for (const auto& [flow, rate] : largest(flow_rates, flows)) {
    by_flow.add({std::get<0>(flow), std::get<1>(flow), std::get<2>(flow), bytes_s_text(rate.bytes_s),
                 fmt::format("~{:.0f}", rate.packets_s)});
  }
  return out + "\n" + by_flow.text();
}

std::string status_text(const wire::NetworkObservation& seen) {
  struct Row {
    Trouble trouble;
    std::vector<std::string> cells;
  };
  std::vector<Row> rows;
  for (const auto& host : seen.hosts) {
    for (const auto& peer : host.peers) {
      Rate sent;
      sent.add(peer.sent_bytes, 0, host.interval_ms);
      Rate received;
      received.add(peer.received_bytes, 0, host.interval_ms);
      auto trouble = trouble_of(peer);
      const auto by = peer.path == wire::PathKind::none ? std::string() : peer.endpoint;
      rows.push_back({trouble,
                      {host_name(host.cloud, host.host), host_name(peer.cloud, peer.host), word_of(peer.path), by,
                       peer.round_trip_ms ? fmt::format("{:.1f} ms", *peer.round_trip_ms) : "-",
                       peer.loss ? fmt::format("{:.1f}%", *peer.loss * 100) : "-", bytes_s_text(sent.bytes_s),
                       bytes_s_text(received.bytes_s), peer.session_s ? duration_text(*peer.session_s) : "-",
                       word_of(peer.profile), trouble.what}});
    }
  }
  std::ranges::stable_sort(rows, [](const Row& a, const Row& b) { return a.trouble.rank > b.trouble.rank; });
  auto out = problems_text(seen);
  if (rows.empty()) return out + "No host of it has a peer (or none has said so yet: a few seconds).\n";
  Table table({{"HOST"},
               {"PEER"},
               {"PATH"},
               {"BY"},
               {"RTT", Align::right},
               {"LOSS", Align::right},
               {"OUT", Align::right},
               {"IN", Align::right},
               {"SESSION", Align::right},
               {"PROFILE"},
               {"PROBLEM"}});
  for (auto& row : rows) table.add(std::move(row.cells));
  return out + table.text();
}

}  // namespace godwit::cli
