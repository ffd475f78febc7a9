// The control socket of `godwit switch`: one JSON object a line each way, in order, at most 4 MiB a line.
//
// Level-triggered: `config` is always the whole of what this host's switch shall be, and is applied as a difference.
// The switch keeps the last one in its state directory, so that it carries on by itself through restarts of the agent.
#pragma once

#include "wire/network.h"
#include "wire/observation.h"

namespace godwit::wire {

BOOST_DEFINE_ENUM_CLASS(SwitchOp, config, announce, hold, release, locations, stats, observe, capture, lease)

// An instance of this host. The switch makes a TAP of its own and joins it to `guest_tap` by tc redirect, both ways, as
// soon as that device exists.
struct SwitchPort {
  std::string instance;
  std::string mac;
  std::string ip;
  std::string guest_tap;
  // Frames pass only while this host has the member's location; a port may be made before (an incoming migration).
  std::uint64_t version{0};
  std::string claim{};  // of that version, as in Location; empty: its cloud's word is awaited
  // In hex. Then it has no guest_tap: the member is a WireGuard peer with this key, which dials this host's switch.
  std::string wireguard_key{};
  std::uint32_t queues{1};  // of the switch's own TAP: as many as `guest_tap` has
};
BOOST_DESCRIBE_STRUCT(SwitchPort, (), (instance, mac, ip, guest_tap, version, claim, wireguard_key, queues))

struct SwitchNetwork {
  Network network;
  std::vector<SwitchPort> ports;
  // A network namespace for this host's end of the network: device "gw0" with network.gateway and 169.254.169.254.
  std::string gateway_namespace;
  // A device of this host on a real LAN, for the network alone: joined as a guest's is, while network.uplink is this
  // host. Empty: none.
  std::string lan_device{};
  // Then only while a SwitchLease with this version lasts, which a restart of the switch ends; 0: it needs none.
  std::uint64_t lan_lease{0};
};
BOOST_DESCRIBE_STRUCT(SwitchNetwork, (), (network, ports, gateway_namespace, lan_device, lan_lease))

struct SwitchConfig {
  std::string cloud;
  std::string host;
  std::vector<SwitchNetwork> networks;
  std::string record{};                     // of this host, as in Location::record: what it shows to others
  std::vector<CloudCa> authorities{};       // whose records of hosts are believed, each of its own cloud's
  std::vector<SwitchPoint> peers{};         // hosts that this host itself dials through the overlay
  std::vector<std::uint16_t> host_ports{};  // TCP ports of this host that others may dial through the overlay
};
BOOST_DESCRIBE_STRUCT(SwitchConfig, (), (cloud, host, networks, record, authorities, peers, host_ports))

// Says that `instance` is on this host from now on, with `version`; answered when every peer host has acknowledged, or
// when min(1 RTT + 10 ms, 100 ms) has passed, whichever is first.
struct SwitchAnnounce {
  std::string network;
  std::string instance;
  std::uint64_t version{0};
  std::string claim{};  // as in Location: without it no other host believes it
};
BOOST_DESCRIBE_STRUCT(SwitchAnnounce, (), (network, instance, version, claim))

// hold: the vCPUs of `instance`, which is here, stand still for a hand-over: frames for it are kept, in order and
// bounded, instead of filling a queue that ends with its QEMU. When another host announces it they are sent after it;
// on `release` (the hand-over was given up), or after 10 s, its guest gets them.
struct SwitchHold {
  std::string network;
  std::string instance;
};
BOOST_DESCRIBE_STRUCT(SwitchHold, (), (network, instance))

// capture: behind the answer, if it has no error, the connection carries pcapng until it is closed: what crosses the
// devices of the instances and the gateway of a network here, both ways. Frames are dropped, and counted there, when
// the reader is slow.
struct SwitchCapture {
  std::string network;          // its id; empty: all
  std::string instance;         // its id; empty: all
  std::uint32_t snap_bytes{0};  // no more of each frame; 0: all of it
};
BOOST_DESCRIBE_STRUCT(SwitchCapture, (), (network, instance, snap_bytes))

// This host may join the network to its LAN until that moment, by the clock that all processes of the host share
// (CLOCK_MONOTONIC): an agent that dies extends nothing.
struct SwitchLease {
  std::string network;  // its id
  std::uint64_t version{0};
  std::int64_t until_ms{0};

  bool operator==(const SwitchLease&) const = default;
};
BOOST_DESCRIBE_STRUCT(SwitchLease, (), (network, version, until_ms))

struct SwitchRequest {
  std::uint64_t id{0};  // echoed
  SwitchOp op{SwitchOp::config};
  SwitchConfig config;
  SwitchAnnounce announce;
  SwitchHold hold;  // hold and release
  SwitchCapture capture{};
  std::vector<SwitchLease> leases{};  // lease, and config: those that it comes with
};
BOOST_DESCRIBE_STRUCT(SwitchRequest, (), (id, op, config, announce, hold, capture, leases))

struct PairCount {
  std::string network;
  std::string source_mac;
  std::string destination_mac;
  std::uint64_t frames{0};
  std::uint64_t bytes{0};
};
BOOST_DESCRIBE_STRUCT(PairCount, (), (network, source_mac, destination_mac, frames, bytes))

struct DropCount {
  std::string reason;  // "spoofed_mac", …: overlay::Drop
  std::uint64_t frames{0};
};
BOOST_DESCRIBE_STRUCT(DropCount, (), (reason, frames))

struct SwitchReply {
  std::uint64_t id{0};
  std::string error;  // empty: done
  std::string overlay_ip;
  std::uint16_t overlay_port{0};
  std::string overlay_key;                 // its public key (X25519) in hex; the private one is the switch's alone
  std::string host_address;                // this host's own inside the overlay (IPv6); empty: it has none
  double waited_ms{0};                     // announce: until the last acknowledgement, or the limit
  std::uint32_t acknowledged{0};           // announce: by so many
  std::uint32_t peers{0};                  //   of so many
  std::vector<Network> networks;           // locations: as the switch believes them now; without their keys
  std::vector<PairCount> pairs;            // stats: since the switch started, each counted where it enters the overlay
  std::vector<DropCount> drops;            // stats: likewise; reasons that occurred
  std::optional<Observation> observation;  // observe
};
BOOST_DESCRIBE_STRUCT(SwitchReply, (),
                      (id, error, overlay_ip, overlay_port, overlay_key, host_address, waited_ms, acknowledged, peers,
                       networks, pairs, drops, observation))

}  // namespace godwit::wire
