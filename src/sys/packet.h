// Packets as seams: what the switch reads and writes in batches, and the devices around it.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "sys/clock.h"

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace godwit::sys {

// Where a datagram comes from or goes to. A value; all zero is no endpoint.
struct UdpEndpoint {
  std::array<std::byte, 16> ip{};  // IPv6, or IPv4 mapped into it (::ffff:a.b.c.d)
  std::uint16_t port{0};

  auto operator<=>(const UdpEndpoint&) const = default;
  [[nodiscard]] explicit operator bool() const { return port != 0; }
};

// `ip` is numeric, of either family. Errors: invalid_argument.
[[nodiscard]] Result<UdpEndpoint> parse_udp_endpoint(const std::string& ip, std::uint16_t port);
[[nodiscard]] std::string ip_to_string(const UdpEndpoint& endpoint);  // without the port
[[nodiscard]] std::string to_string(const UdpEndpoint& endpoint);     // "10.1.0.2:4790", "[fd00::1]:4790"
[[nodiscard]] bool is_ipv4(const UdpEndpoint& endpoint);

struct UdpEndpointHash {
  std::size_t operator()(const UdpEndpoint& endpoint) const {
    const auto* bytes = reinterpret_cast<const char*>(endpoint.ip.data());
    return std::hash<std::string_view>{}({bytes, endpoint.ip.size()}) ^ (endpoint.port * 0x9e3779b97f4a7c15ULL);
  }
};

// A device that is attached to a PacketIo. 0 is none: the UDP socket.
using PortHandle = std::uint32_t;

// The longest frame that a device gives or takes: a super-frame of 64 KiB of IP behind its Ethernet header.
constexpr std::size_t kFrameLimit = 65'535 + 18;

// What is still to be done to a frame of a device, as its virtio_net_hdr says (virtio 1.2, section 5.1.6): a checksum
// to be filled in, and, with `gso`, segments to be cut of it. All zero: it is a frame as it stands on a wire.
struct Offload {
  bool needs_checksum{false};
  std::uint8_t gso{0};  // a Gso, with kGsoEcn
  std::uint16_t header_bytes{0};
  std::uint16_t segment_bytes{0};  // payload of each segment but the last
  std::uint16_t checksum_start{0};
  std::uint16_t checksum_offset{0};

  bool operator==(const Offload&) const = default;
};
enum class Gso : std::uint8_t { none = 0, tcp4 = 1, tcp6 = 4, udp = 5 };
constexpr std::uint8_t kGsoEcn = 0x80;

// What was received, in a buffer of the PacketIo: one frame of a device, or datagrams of one sender. `bytes` is
// writable: whoever handles them may open them in place.
struct Packet {
  PortHandle port{0};  // the device it was read from; 0: by UDP, from `peer`
  UdpEndpoint peer;
  ByteSpan bytes;
  Offload offload;         // of a device's
  std::size_t segment{0};  // datagrams: each is so long, the last may be shorter; 0: it is one
};

// What is to be sent: a frame to the device `port`, or with port 0 datagrams by UDP to `peer`.
struct OutPacket {
  PortHandle port{0};
  UdpEndpoint peer;
  ByteView bytes;
  Offload offload{};
  std::size_t segment{0};  // as in Packet; at most kMostSegments datagrams of kMostSegmentBytes in all
};
// Linux cuts no more out of one sendmsg (UDP_MAX_SEGMENTS before 6.9), which is one IP packet until then.
constexpr std::size_t kMostSegments = 64;
constexpr std::size_t kMostSegmentBytes = 65'535 - 40 - 8;

struct PacketCounts {
  std::uint64_t refused{0};    // by a device or the socket, when it was to be sent
  std::uint64_t truncated{0};  // longer than a buffer, when it was received
  std::uint64_t too_long{0};   // datagrams for a link with a smaller MTU: nothing is fragmented
};

// What read() of a device has found.
struct DeviceFrame {
  ByteSpan bytes;  // the frame: inside the room that was given. Empty: one that is no frame, or too long, was dropped
  std::size_t room_bytes{0};  // so much of the room is in use, from its beginning
  Offload offload;
};

// An Ethernet device as a PacketIo sees it, and the seam for another kind of it: a TAP is one, a vhost-user backend
// would be another, beside it in the same PacketIo. Who makes devices is SwitchLinks; nobody else knows which kind one
// is.
//
// It has one or more queues, each a way for frames in both directions. A frame keeps its place behind those that went
// before it in the same queue; of different queues nothing is promised.
//   Threads: all is called on the strand of its PacketIo, and nothing of it may block. Threads that an implementation
//   has
//     beside that are its own business.
//   Memory: read() copies into the room, and write() has copied when it returns: the switch alters and parses what it
//   has
//     read, so it can't be memory that a guest still writes to.
//   Errors: there are none to return. What can't be sent is dropped; a device whose other end has gone is one without a
//     cable: it has nothing to read and takes nothing, until SwitchLinks finds it gone, or its other end comes back.
//   Life: whoever holds it owns all that belongs to it; the destructor lets go of that, and the guest's frames wait, or
//     are lost, as with a cable.
class PacketDevice {
 public:
  // Room that read() needs for the longest frame and whatever the device puts before it.
  static constexpr std::size_t kRoomBytes = kFrameLimit + 64;

  virtual ~PacketDevice() = default;
  // For each queue a descriptor that epoll finds readable for as long as read() has something (level-triggered): they,
  // and how many, stay the same for the device's life. Owned by the device.
  [[nodiscard]] virtual std::span<const int> queues() const = 0;
  // The next frame of a queue, in `room` (kRoomBytes at least); nothing when there is none now.
  [[nodiscard]] virtual std::optional<DeviceFrame> read(std::size_t queue, ByteSpan room) = 0;
  // Queues a frame. False: it was dropped.
  [[nodiscard]] virtual bool write(std::size_t queue, ByteView frame, const Offload& offload) = 0;
  // After a batch of write(): whoever has to be told of it is told, once.
  virtual void flush() = 0;
};

// A UDP socket and any number of Ethernet devices. One strand.
//
// Order: frames of one flow (addresses and ports, either way round) that a device gives by one queue are received in
// that order, and those that are sent to it go to the queue by which the flow was last received, in theirs. Busy queues
// take turns; none keeps another, or the socket, waiting for longer than a batch.
class PacketIo {
 public:
  virtual ~PacketIo() = default;
  // Takes a device: lets go of it at detach() or at the end.
  [[nodiscard]] virtual PortHandle attach(std::unique_ptr<PacketDevice> device) = 0;
  virtual void detach(PortHandle port) = 0;
  // The address that the UDP socket is bound to.
  [[nodiscard]] virtual UdpEndpoint local() const = 0;
  // Returns when receive() may have something. Errors: io.
  [[nodiscard]] virtual Task<Result<>> wait_readable() = 0;
  // What is there now, at most a batch; empty when there is nothing. Valid until the next call.
  [[nodiscard]] virtual std::span<Packet> receive() = 0;
  // Sends each or drops it (counted): a network loses packets, and a full queue must not stop the others.
  virtual void send(std::span<const OutPacket> packets) = 0;
  [[nodiscard]] virtual PacketCounts counts() const = 0;
};

// The local end of a network, in a network namespace of its own.
struct GatewaySpec {
  std::string network_namespace;  // a name under /run/netns; made if it is not there
  std::uint64_t mac{0};           // the last 48 bits
  std::uint32_t mtu{1500};
  std::vector<std::string> addresses;  // "10.77.0.1/24"; the prefix gives the route

  bool operator==(const GatewaySpec&) const = default;
};

// This host's own end of the network that all hosts share: IPv6, by addresses that their keys give.
struct HostDeviceSpec {
  std::string name;
  std::uint64_t mac{0};  // the last 48 bits; every host's is the same, and nobody asks for it
  std::uint32_t mtu{1500};
  std::string address;  // "fd67:…:1/48"; the prefix gives the route

  bool operator==(const HostDeviceSpec&) const = default;
};

// The switch's devices. Blocking and short. They outlive the process: opening one that is there takes it over.
class SwitchLinks {
 public:
  virtual ~SwitchLinks() = default;
  // A persistent TAP of ours, up, whose frames may be super-frames. One that is there keeps the number of queues that
  // it was made with: it has `queues`, or one. Errors: conflict (another process holds it), io.
  [[nodiscard]] virtual Result<std::unique_ptr<PacketDevice>> open_tap(const std::string& name, std::uint32_t mtu,
                                                                       std::uint32_t queues) = 0;
  // Not an error when it is not there.
  [[nodiscard]] virtual Result<> remove_tap(const std::string& name) = 0;
  // Redirects what comes in at either device out of the other one. True: joined (again); false: `guest` is not there.
  // Calling it again is cheap and changes nothing when the two are joined. `promiscuous`: `guest` is on a real LAN, and
  // shall also hear what is for other addresses than its own.
  [[nodiscard]] virtual Result<bool> join(const std::string& tap, const std::string& guest, bool promiscuous) = 0;
  // Ends the redirection out of `guest`; not an error when it is not there.
  [[nodiscard]] virtual Result<> part(const std::string& guest) = 0;
  // A TAP "gw0" inside the namespace, with these addresses.
  [[nodiscard]] virtual Result<std::unique_ptr<PacketDevice>> open_gateway(const GatewaySpec& spec) = 0;
  // A TAP in the switch's own namespace, with this address. remove_tap() removes it.
  [[nodiscard]] virtual Result<std::unique_ptr<PacketDevice>> open_host_device(const HostDeviceSpec& spec) = 0;
  // Device and namespace. Not an error when they are not there.
  [[nodiscard]] virtual Result<> remove_gateway(const std::string& network_namespace) = 0;
  // Returns when devices may have come, gone or changed since the last call. Errors: io.
  [[nodiscard]] virtual Task<Result<>> wait_changed() = 0;
};

}  // namespace godwit::sys
