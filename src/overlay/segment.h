// One network as this host's switch sees it: its members, where each of them is, and the ports of this host. Pure.
#pragma once

#include "crypto/mac.h"
#include "overlay/hosts.h"
#include "overlay/instance_id.h"
#include "overlay/known_location.h"
#include "overlay/link_locals.h"
#include "overlay/member_index.h"
#include "overlay/port_filter.h"
#include "overlay/token_bucket.h"
#include "sys/packet.h"
#include "wire/switch_control.h"

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace godwit::overlay {

// After an instance left, its frames that still arrive are sent after it for so long, and frames that its old host
// sends after it are accepted for so long.
constexpr Seconds kForwardStrays{30};
constexpr Seconds kFormerHost{60};

// Frames to broadcast and multicast addresses, of one port: so many a second, after so many at once.
constexpr std::uint32_t kGroupFrames = 100;
constexpr std::uint32_t kGroupBurst = 200;

// Who we are, as locations name it.
struct Self {
  std::string cloud;
  std::string host;
  sys::UdpEndpoint address;
  std::string record{};  // signed by its cloud, as in wire::Location; empty while it has none
};

struct Member;

// Of a member that announced itself here: overlay/hint.h.
struct Hint {
  InstanceId instance;
  TimePoint seen{};
};

// An instance's port on this host.
struct Port {
  std::string instance;
  wire::Mac mac;
  wire::Ipv4 ip;
  std::string guest_device;
  std::uint32_t queues{1};                        // of its device
  std::uint64_t claimed{0};                       // the highest version that our agent claimed for it
  sys::PortHandle handle{0};                      // 0: no device yet
  LinkLocals link_locals;                         // that it uses beside the one of its MAC
  TokenBucket groups{kGroupFrames, kGroupBurst};  // for what it sends to broadcast and multicast addresses
  std::unique_ptr<PortFilter> filter{};           // made for its first packet in a network that is not open
  const Member* member{nullptr};                  // nothing while the network doesn't have it
  std::optional<crypto::PublicKey> leaf_key{};    // it is a WireGuard peer, and no device
  PeerId leaf{0};                                 // of our sessions
  std::optional<Hint> hint{};

  // Frames pass: the instance is here, and our agent said so with this version or a higher one.
  [[nodiscard]] bool active() const;
};

// A switch knows very many: what they share is kept once.
struct Member {
  InstanceId id;
  std::string name;
  Roles::Shared roles;
  wire::Mac mac;
  wire::Ipv4 ip;
  KnownLocation location;
  bool here{false};
  bool held{false};           // it is here, and its frames are kept back: see Holder
  PeerId at{0};               // its host; nobody when it is here, or nowhere
  Port* port{nullptr};        // ours, where it has one
  TimePoint forward_until{};  // it was here: its strays go on to `at`
  TimePoint next_correction{};
  GroupMask groups{0};

  [[nodiscard]] std::string instance() const { return to_string(id); }
};

// What a location did to what we believed.
enum class Learned : std::uint8_t { newer, known, older, unknown_member, unproven };

// The MAC of a network's gateway: the same on every host, so that a guest that moved finds it again.
[[nodiscard]] wire::Mac gateway_mac(std::string_view network_id);

class Segment {
 public:
  // `config` is checked (see Segment::check) here and below. Not movable: ports and members point at each other.
  // `hosts` outlives it.
  Segment(Self self, Hosts& hosts, const wire::SwitchNetwork& config);
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  // Errors: invalid_argument, naming network and field.
  [[nodiscard]] static Result<> check(const wire::SwitchNetwork& config);

  // Members and ports become those of `config`; locations and claims only ever rise. Returns the instances that a
  // port's version claims anew: their peers want an announcement. What the configuration says is our own cloud's word,
  // and needs no proof.
  [[nodiscard]] std::vector<std::string> configure(TimePoint now, const Self& self, const wire::SwitchNetwork& config);
  // Somebody who has the key says where a member is: a higher version is believed where its claim proves it.
  Learned learn(TimePoint now, const std::string& instance, const wire::Location& location);
  // Our agent says that it is here, and what proves it to others. Errors: not_found (no such member or port), conflict
  // (a higher version is known).
  [[nodiscard]] Result<> claim(TimePoint now, const std::string& instance, std::uint64_t version,
                               const std::string& proof);
  // Hosts whose locations have ended are none of this network's any more. Cheap where none has.
  void end_locations(WallTime now);

  [[nodiscard]] Member* find(wire::Mac mac) { return by_mac_.find(mac); }
  [[nodiscard]] Member* find(wire::Ipv4 ip) { return by_ip_.find(ip); }
  // By its address in the network, or the link-local one of its MAC.
  [[nodiscard]] Member* find(const wire::Ipv6& ip);
  [[nodiscard]] Member* find(const std::string& instance);
  [[nodiscard]] Port* find_port(const std::string& instance);
  [[nodiscard]] std::map<std::string, Port>& ports() { return ports_; }

  // Other hosts that have a member now, or the network's LAN.
  [[nodiscard]] const std::vector<PeerId>& hosts() const { return hosts_; }
  // A host that has a member, or had one until a while ago.
  [[nodiscard]] bool accepts_from(TimePoint now, PeerId host) const;
  // Adds all hosts that it names: of members, and those that are still accepted.
  void add_hosts(std::unordered_set<PeerId>& out) const;

  [[nodiscard]] const std::string& id() const { return network_.id; }
  [[nodiscard]] std::uint32_t vni() const { return network_.vni; }
  [[nodiscard]] std::uint32_t mtu() const { return network_.mtu; }
  // "10.77.0.1/24".
  [[nodiscard]] std::string gateway_address() const {
    return network_.gateway + network_.cidr.substr(network_.cidr.find('/'));
  }
  // "fd12:3456:789a:bcde::a4d:1/64"; empty where the network has no IPv6.
  [[nodiscard]] std::string gateway_address6() const {
    const auto address = ipv6_of(gateway_ip_);
    return address ? to_string(*address) + "/64" : std::string();
  }
  [[nodiscard]] std::size_t frame_limit() const { return network_.mtu + wire::kEthernetHeader; }
  [[nodiscard]] wire::Mac gateway() const { return gateway_mac_; }
  [[nodiscard]] bool is_gateway_ip(wire::Ipv4 ip) const;
  [[nodiscard]] bool is_gateway_ip(const wire::Ipv6& ip) const;
  // A member's in this network; nothing where that has no IPv6.
  [[nodiscard]] std::optional<wire::Ipv6> ipv6_of(wire::Ipv4 member) const;
  [[nodiscard]] const SecurityGroups& groups() const { return groups_; }
  // Not everything is allowed between its members.
  [[nodiscard]] bool filtered() const { return filtered_; }
  [[nodiscard]] const std::string& gateway_namespace() const { return gateway_namespace_; }
  [[nodiscard]] crypto::MacKey& key() { return key_; }
  // This host joins the network to its LAN: it is to, and may at this moment.
  [[nodiscard]] bool bridges(TimePoint now) const { return now < bridges_until_; }
  [[nodiscard]] bool has_lan(TimePoint now) const { return bridges(now) || uplink_ != kNobody; }
  // It may, where its configuration says that it needs a lease with that version.
  void lease_lan(std::uint64_t version, TimePoint until);
  // True when it has begun or ended to since the last call. When it has begun the LAN has to hear where all are.
  [[nodiscard]] bool settle_lan(TimePoint now);
  // When it ends without another lease; TimePoint::max(): it doesn't, or has not begun.
  [[nodiscard]] TimePoint lan_end(TimePoint now) const { return bridges(now) ? bridges_until_ : TimePoint::max(); }
  // The other host that does; nobody when none does, or it is this one.
  [[nodiscard]] PeerId uplink() const { return uplink_; }
  [[nodiscard]] const std::string& lan_device() const { return lan_device_; }
  // Where this host bridges: the LAN has to hear again where all are.
  void lan_attached(sys::PortHandle handle);
  // The instances that have come to be somewhere since the last call.
  [[nodiscard]] std::vector<std::string> take_placed() { return std::exchange(placed_, {}); }
  // With locations as we believe them. The key is left out where `with_key` is false.
  [[nodiscard]] wire::SwitchNetwork describe(bool with_key) const;

  sys::PortHandle gateway_handle{0};  // 0: no device yet
  sys::PortHandle lan_handle{0};      // likewise
  std::optional<Hint> lan_hint{};
  TokenBucket lan_groups{kGroupFrames, kGroupBurst};  // for what comes from there to broadcast and multicast addresses

 private:
  void take_members(TimePoint now, const std::vector<wire::Member>& members);
  void take_early(TimePoint now, Member& member);
  void take_ports(const std::vector<wire::SwitchPort>& ports);
  void take_uplink(TimePoint now, const wire::SwitchNetwork& config);
  [[nodiscard]] std::vector<std::string> take_claims(TimePoint now, const std::vector<wire::SwitchPort>& ports);
  void place(TimePoint now, Member& member, const wire::Location& location);
  void place_all();
  void limit_lan();
  void index();
  void refresh_hosts();

  Self self_;
  Hosts& all_hosts_;
  wire::Network network_;  // without its members
  SecurityGroups groups_;
  bool filtered_{false};
  std::string gateway_namespace_;
  std::string lan_device_;
  bool is_uplink_{false};
  std::uint64_t lan_lease_{0};  // that it needs; 0: none
  struct {
    std::uint64_t version{0};
    TimePoint until{};
  } lease_;  // that it has
  TimePoint bridges_until_{TimePoint::min()};
  bool bridged_{false};  // as settle_lan() saw it
  PeerId uplink_{0};
  std::vector<std::string> placed_;  // while it is the uplink
  wire::Ipv4 gateway_ip_;
  std::optional<wire::Ipv6Prefix> prefix6_;
  wire::Mac gateway_mac_;
  crypto::MacKey key_;
  std::map<InstanceId, Member> members_;
  std::map<std::string, Port> ports_;  // by instance
  MemberIndex<Member, &Member::mac> by_mac_;
  MemberIndex<Member, &Member::ip> by_ip_;
  std::vector<PeerId> hosts_;
  std::unordered_set<PeerId> host_set_;
  WallTime next_end_{WallTime::max()};            // of a location elsewhere
  std::unordered_map<PeerId, TimePoint> former_;  // until when each is accepted
  std::map<std::string, wire::Location> early_;   // of instances that the next config will bring
};

}  // namespace godwit::overlay
