#include "lab/nat_rules.h"

#include <string_view>

namespace godwit::lab {
namespace {

constexpr unsigned kFirstPort = 2000;
constexpr unsigned kPorts = 60'000;
constexpr unsigned kMostMappings = 65'535;

// Linux's own masquerading depends on both ends, unless nobody else wants the port; so a UDP port is made of what the
// mapping may depend on.
std::string_view mapped_from(NatScope mapping) {
  switch (mapping) {
    case NatScope::endpoint: return "ip saddr . udp sport";
    case NatScope::address: return "ip saddr . udp sport . ip daddr";
    case NatScope::address_and_port: return "ip saddr . udp sport . ip daddr . udp dport";
  }
  return {};
}

struct Filter {
  std::string_view type;   // of what is remembered of the datagrams that went out; empty: nothing, as all may come in
  std::string_view out;    // it, in one that goes out
  std::string_view again;  // in the answer to one that came in
  std::string_view in;     // in one that comes in
};

Filter filter_of(NatScope filtering) {
  switch (filtering) {
    case NatScope::endpoint: return {};
    case NatScope::address:
      return {"inet_service . ipv4_addr", "ct reply proto-dst . ip daddr", "ct original proto-dst . ip daddr",
              "udp dport . ip saddr"};
    case NatScope::address_and_port:
      return {"inet_service . ipv4_addr . inet_service", "ct reply proto-dst . ip daddr . udp dport",
              "ct original proto-dst . ip daddr . udp dport", "udp dport . ip saddr . udp sport"};
  }
  return {};
}

// `back` leads from a port outside to who has it inside; `sent` has who may use it.
std::string udp_tables(const NatKind& kind) {
  const auto filter = filter_of(kind.filtering);
  const auto size =
      fmt::format("    timeout {}s\n    size {}\n", std::chrono::ceil<Seconds>(kind.timeout).count(), kMostMappings);
  std::string sent;
  std::string learn_sent;
  if (!filter.type.empty()) {
    sent = fmt::format("  set sent {{\n    type {}\n    flags dynamic,timeout\n{}  }}\n", filter.type, size);
    learn_sent = fmt::format(
        "    meta l4proto udp ct direction original update @sent {{ {} }}\n"
        "    meta l4proto udp ct direction reply update @sent {{ {} }}\n",
        filter.out, filter.again);
  }
  return fmt::format(
      "  map back {{\n    type inet_service : ipv4_addr . inet_service\n    flags dynamic,timeout\n{}  }}\n{}"
      "  chain learn {{\n    type filter hook postrouting priority 300;\n"
      "    oifname != \"wan0\" accept\n"
      "    meta l4proto udp ct direction original update @back {{ ct reply proto-dst : ct original ip saddr . ct "
      "original proto-src }}\n"
      "    meta l4proto udp ct direction reply update @back {{ ct original proto-dst : ct reply ip saddr . ct reply "
      "proto-src }}\n"
      "{}  }}\n"
      // A stranger's datagram must leave no trace: the answer to it would be told from it by another port.
      "  chain input {{\n    type filter hook input priority 0;\n    iifname \"wan0\" meta l4proto udp drop\n  }}\n",
      size, sent, learn_sent);
}

std::string lead_back(const NatKind& kind) {
  const auto filter = filter_of(kind.filtering);
  const auto may = filter.type.empty() ? "meta l4proto udp" : fmt::format("{} @sent", filter.in);
  return fmt::format("    iifname \"wan0\" {} dnat to udp dport map @back\n", may);
}

std::string source_rule(const CloudConfig& cloud, const Ipv4Prefix& outside) {
  if (cloud.nat == Nat::symmetric) return "    oifname \"wan0\" masquerade fully-random\n";
  if (cloud.nat != Nat::kind) return "    oifname \"wan0\" masquerade\n";
  return fmt::format(
      "    oifname \"wan0\" meta l4proto udp snat to {} : jhash {} mod {} seed 0x60d offset {}\n"
      "    oifname \"wan0\" masquerade\n",
      format_address(outside.address), mapped_from(cloud.nat_kind.mapping), kPorts, kFirstPort);
}

}  // namespace

std::string nat_rules(const CloudConfig& cloud, const Ipv4Prefix& outside, const std::string& published) {
  const bool kind = cloud.nat == Nat::kind && cloud.nat_kind.udp;
  const auto back = kind ? lead_back(cloud.nat_kind) : std::string();
  const std::string_view blocked = cloud.nat == Nat::kind && !cloud.nat_kind.udp ? "    meta l4proto udp drop\n" : "";
  return fmt::format(
      "table ip godwit {{\n{0}"
      "  chain prerouting {{\n    type nat hook prerouting priority -100;\n{1}{2}  }}\n"
      "  chain postrouting {{\n    type nat hook postrouting priority 100;\n{3}  }}\n"
      "  chain forward {{\n    type filter hook forward priority 0;\n{4}"
      "    iifname \"wan0\" ct state established,related accept\n"
      "    iifname \"wan0\" ct status dnat accept\n"
      "    iifname \"wan0\" drop\n  }}\n"
      "}}\n",
      kind ? udp_tables(cloud.nat_kind) : "", published, back, source_rule(cloud, outside), blocked);
}

}  // namespace godwit::lab
