#include "overlay/capture.h"

#include <fmt/format.h>

#include <algorithm>

namespace godwit::overlay {

Capture::Capture(TimePoint now, WallTime wall, std::uint32_t snap_bytes)
    : began_(now),
      began_wall_(wall),
      snap_bytes_(snap_bytes == 0 ? static_cast<std::uint32_t>(sys::kFrameLimit) : snap_bytes) {
  pcapng::append_section(queue_, "godwit switch");
}

std::uint64_t Capture::time_ns(TimePoint now) const {
  return static_cast<std::uint64_t>(Nanos(began_wall_.time_since_epoch() + (now - began_)).count());
}

Capture::Interface* Capture::interface_of(sys::PortHandle handle, const std::string& name) {
  const auto found = interfaces_.find(handle);
  if (found != interfaces_.end()) return &found->second;
  if (interfaces_.size() == kMostInterfaces) return nullptr;
  pcapng::append_interface(queue_, name, snap_bytes_);
  const auto number = static_cast<std::uint32_t>(interfaces_.size());
  return &interfaces_.try_emplace(handle, Interface{number, 0, 0}).first->second;
}

void Capture::see(TimePoint now, sys::PortHandle handle, const std::string& name, pcapng::Direction direction,
                  ByteView frame, const sys::Offload& offload) {
  auto* interface = interface_of(handle, name);
  if (!interface) return;
  ++interface->received;
  std::string comment;
  if ((offload.gso & ~sys::kGsoEcn) != 0) {
    comment = fmt::format("super-frame: segments of {} bytes behind {} of headers", offload.segment_bytes,
                          offload.header_bytes);
  }
  const pcapng::Packet packet{interface->number, time_ns(now), direction, frame, snap_bytes_, comment};
  if (queue_.size() + pcapng::packet_bound(packet) > kMostQueued) {
    ++interface->dropped;
    return;
  }
  pcapng::append_packet(queue_, packet);
}

void Capture::add_statistics(TimePoint now) {
  if (queue_.size() > kMostQueued) return;  // nobody reads
  std::vector<Interface> all;
  all.reserve(interfaces_.size());
  for (const auto& [handle, interface] : interfaces_) all.push_back(interface);
  std::ranges::sort(all, {}, &Interface::number);
  for (const auto& each : all) {
    pcapng::append_statistics(queue_, each.number, time_ns(now), each.received, each.dropped);
  }
}

std::uint64_t Capture::dropped() const {
  std::uint64_t out = 0;
  for (const auto& [handle, interface] : interfaces_) out += interface.dropped;
  return out;
}

}  // namespace godwit::overlay
