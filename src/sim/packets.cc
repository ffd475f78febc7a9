#include "sim/packets.h"

#include "sim/network.h"

#include <algorithm>

namespace godwit::sim {
namespace {

constexpr std::size_t kQueue = 1'000;

// A device that is a name: nothing comes from it, and it loses what it is given.
class SilentDevice final : public sys::PacketDevice {
 public:
  [[nodiscard]] std::span<const int> queues() const override { return {}; }
  [[nodiscard]] std::optional<sys::DeviceFrame> read(std::size_t, ByteSpan) override { return std::nullopt; }
  [[nodiscard]] bool write(std::size_t, ByteView, const sys::Offload&) override { return false; }
  void flush() override {}
};

}  // namespace

Result<std::unique_ptr<SimPacketIo>> SimPacketIo::open(Process& process, std::uint16_t port) {
  if (process.host().udp_ports_.contains(port)) {
    return fail(Errc::conflict, "UDP port {}: another process has this port", port);
  }
  const auto local = sys::parse_udp_endpoint(process.host().ip(), port);
  if (!local) return pass(local);
  return std::unique_ptr<SimPacketIo>(new SimPacketIo(process, *local));
}

SimPacketIo::SimPacketIo(Process& process, sys::UdpEndpoint local)
    : process_(process), local_(local), readable_(process.runtime().executor) {
  process.host().udp_ports_[local.port] = this;
}

SimPacketIo::~SimPacketIo() { process_.host().udp_ports_.erase(local_.port); }

sys::PortHandle SimPacketIo::attach(std::unique_ptr<sys::PacketDevice>) { return ++last_; }

sys::Task<Result<>> SimPacketIo::wait_readable() {
  while (waiting_.empty()) co_await readable_.wait();
  co_return Result<>{};
}

std::span<sys::Packet> SimPacketIo::receive() {
  if (waiting_.empty()) return {};
  const auto& [from, bytes] = waiting_.front();
  room_ = bytes;
  packet_ = {0, from, room_, {}, 0};
  waiting_.pop_front();
  return {&packet_, 1};
}

void SimPacketIo::send(std::span<const sys::OutPacket> packets) {
  World& world = process_.world();
  Network& network = world.network();
  for (const auto& each : packets) {
    Host* const to = each.port == 0 ? network.by_ip(sys::ip_to_string(each.peer)) : nullptr;
    if (!to || network.is_cut(process_.host(), *to)) continue;
    const std::size_t one = each.segment == 0 ? each.bytes.size() : each.segment;
    for (auto rest = each.bytes; !rest.empty(); rest = rest.subspan(std::min(one, rest.size()))) {
      const auto datagram = rest.first(std::min(one, rest.size()));
      const auto arrives = network.arrival(process_.host(), *to, datagram.size());
      ByteVector bytes(datagram.begin(), datagram.end());
      world.at(arrives, [to, port = each.peer.port, from = local_, bytes = std::move(bytes)] {
        const auto at = to->udp_ports_.find(port);
        if (at != to->udp_ports_.end()) at->second->take(from, bytes);
      });
    }
  }
}

void SimPacketIo::take(const sys::UdpEndpoint& from, ByteVector bytes) {
  if (waiting_.size() >= kQueue) return;
  waiting_.emplace_back(from, std::move(bytes));
  readable_.notify();
}

SimSwitchLinks::SimSwitchLinks(Process& process)
    : host_(process.host()), changed_(process.runtime().executor), watch_(host_, changed_) {}

Result<std::unique_ptr<sys::PacketDevice>> SimSwitchLinks::open_tap(const std::string& name, std::uint32_t,
                                                                    std::uint32_t) {
  host_.switch_taps_.insert(name);
  return std::make_unique<SilentDevice>();
}

Result<> SimSwitchLinks::remove_tap(const std::string& name) {
  host_.switch_taps_.erase(name);
  return {};
}

Result<bool> SimSwitchLinks::join(const std::string& tap, const std::string& guest, bool /*promiscuous*/) {
  if (!host_.switch_taps_.contains(tap)) return fail(Errc::not_found, "join {}: there is no such device", tap);
  return host_.taps_.contains(guest);
}

Result<> SimSwitchLinks::part(const std::string&) { return {}; }

Result<std::unique_ptr<sys::PacketDevice>> SimSwitchLinks::open_gateway(const sys::GatewaySpec& spec) {
  host_.gateways_.insert(spec.network_namespace);
  return std::make_unique<SilentDevice>();
}

Result<std::unique_ptr<sys::PacketDevice>> SimSwitchLinks::open_host_device(const sys::HostDeviceSpec& spec) {
  host_.switch_taps_.insert(spec.name);
  return std::make_unique<SilentDevice>();
}

Result<> SimSwitchLinks::remove_gateway(const std::string& network_namespace) {
  host_.gateways_.erase(network_namespace);
  return {};
}

sys::Task<Result<>> SimSwitchLinks::wait_changed() {
  co_await changed_.wait();
  co_return Result<>{};
}

}  // namespace godwit::sim
