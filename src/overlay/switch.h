// The switch of a host as one pure machine: packets, requests and a time in; packets, answers and a deadline out.
// docs/protocols/overlay.md says what it speaks and why.
#pragma once

#include "overlay/announcer.h"
#include "overlay/assembler.h"
#include "overlay/forwarder.h"
#include "overlay/host_network.h"
#include "overlay/interval.h"
#include "overlay/lan.h"
#include "overlay/leaf.h"
#include "overlay/roster.h"

#include <functional>

namespace godwit::overlay {

// What a handle is wanted for: an instance's port, with an empty instance the gateway of the network, with kLanPort its
// LAN, with an empty network this host's own end of the hosts' network.
struct PortName {
  std::string network;
  std::string instance;

  auto operator<=>(const PortName&) const = default;
};

// One strand. `random`, `seal`, `wall_clock` and what they borrow outlive it.
class Switch {
 public:
  static constexpr std::size_t kMostNetworks = 256;
  static constexpr std::size_t kMostDialled = 1024;  // hosts that this host itself dials

  Switch(sys::UdpEndpoint address, sys::Random& random, Seal& seal, WallClock wall_clock);

  // The whole of what the switch shall be. After an error nothing has changed. A location with a record that does not
  // hold is passed over and counted: what was believed of the member stays. Errors: invalid_argument.
  [[nodiscard]] Result<> configure(TimePoint now, const wire::SwitchConfig& config);
  // `ticket` (not 0) comes back with the answer in take_announced(). Errors: not_found, conflict.
  [[nodiscard]] Result<> announce(TimePoint now, const wire::SwitchAnnounce& announce, std::uint64_t ticket);
  // Frames for the instance are kept from now on, until it is elsewhere, released, or kHoldLimit has passed. Errors:
  // not_found (it is not here).
  [[nodiscard]] Result<> hold(TimePoint now, const wire::SwitchHold& hold);
  [[nodiscard]] Result<> release(TimePoint now, const wire::SwitchHold& hold);
  // After a restart: begins sessions with all peers, and tells them once more what is here, for those that the
  // predecessor did not reach.
  void announce_again(TimePoint now);
  // This host may join networks to their LANs. What is not named keeps what it has, and networks that are not
  // configured are passed over.
  void lease(TimePoint now, const std::vector<wire::SwitchLease>& leases);
  // A network here is joined to its LAN, or no longer, since the last call: its device has to come or go.
  [[nodiscard]] bool take_lans_changed() { return std::exchange(lans_changed_, false); }
  [[nodiscard]] std::vector<Announced> take_announced() { return announcer_.take_finished(); }

  // The device of a port or gateway is `handle` from now on; 0: it has none. Names that are not configured are ignored.
  void attach(const PortName& name, sys::PortHandle handle);

  // What came from a device or the underlay. `out` may borrow its buffer, and other memory until end_batch().
  void on_packet(TimePoint now, const sys::Packet& packet, Outbox& out);
  // Makes `out` ready to be sent.
  void seal(TimePoint now, Outbox& out);
  // What seal() made has been sent.
  void end_batch() { buffers_.end_batch(); }
  // What is due.
  void poll(TimePoint now, Outbox& out);
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;

  // The configuration, with locations and claims as they are now: what a restarted switch begins with. Its generation
  // changes when it does.
  [[nodiscard]] wire::SwitchConfig state() const;
  [[nodiscard]] std::uint64_t generation() const { return generation_; }
  [[nodiscard]] std::vector<wire::Network> networks() const;  // without their keys
  [[nodiscard]] const Counters& counters() const { return counters_; }
  [[nodiscard]] std::string network_of(std::uint32_t vni) const;  // its id, or empty
  // Of the last whole interval, and the peers as they are now.
  [[nodiscard]] wire::Observation observe(TimePoint now);
  [[nodiscard]] const Segments& segments() const { return segments_; }
  [[nodiscard]] Roster& roster() { return roster_; }
  [[nodiscard]] const HostNetwork& host_network() const { return host_network_; }
  // This host dials others by it, or is dialled.
  [[nodiscard]] bool uses_host_network() const { return !dialled_.empty() || !host_ports_.empty(); }

 private:
  [[nodiscard]] Result<> check(const wire::SwitchConfig& config) const;
  void configure(TimePoint now, Segment& segment, wire::SwitchNetwork config);
  [[nodiscard]] bool believes(const wire::Location& location);
  [[nodiscard]] Result<Member*> find_held(const wire::SwitchHold& hold) const;
  void let_go(TimePoint now, Outbox& out);
  void on_datagram(TimePoint now, const sys::UdpEndpoint& from, ByteSpan datagram, Outbox& out);
  void on_record(TimePoint now, PeerId from, const Record& record, Outbox& out);
  void on_control(TimePoint now, PeerId from, const Record& record, Outbox& out);
  void on_announce(TimePoint now, Segment& segment, PeerId from, std::uint64_t nonce, const Announce& announce,
                   Outbox& out);
  // Of all hosts that a network names, and no others.
  void refresh_hosts(TimePoint now);
  void settle_lans(TimePoint now);
  void send_of_sessions(TimePoint now, Outbox& out);
  void join(TimePoint now, Outbox& out);

  Self self_;
  WallClock wall_clock_;
  Seal& seal_;
  Counters counters_;
  FlowSampler flows_;
  Roster roster_;
  std::vector<wire::CloudCa> authorities_;
  Hosts hosts_;
  std::vector<wire::SwitchPoint> dialled_;
  std::vector<std::uint16_t> host_ports_;
  HostNetwork host_network_;
  JoinBuffers buffers_;
  std::unordered_map<PeerId, Assembler> assemblers_;
  std::vector<Record> records_;                    // of one slice
  std::vector<PeerId> joining_;                    // peers of whose records something is missing
  std::unordered_map<PeerId, unsigned> unproven_;  // announcements, since the last sweep
  TimePoint next_sweep_{};
  Segments segments_;
  Peers peers_;
  Announcer announcer_;
  LanAnnouncer lan_announcer_;
  bool lans_changed_{false};
  TimePoint next_lan_end_{TimePoint::max()};
  Leaves leaves_;
  Holder holder_;
  Forwarder forwarder_;
  Interval interval_;
  std::uint64_t generation_{0};
};

}  // namespace godwit::overlay
