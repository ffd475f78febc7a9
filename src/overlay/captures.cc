#include "overlay/captures.h"

namespace godwit::overlay {
namespace {

// An instance's port, or the gateway, as people know it: "demo-1", "demo:gateway".
std::string name_of(const Attachment& device) {
  if (!device.port) return device.segment->id() + ":gateway";
  const auto* member = device.port->member;
  return member && !member->name.empty() ? member->name : device.port->instance;
}

}  // namespace

Result<Capture*> Captures::start(TimePoint now, WallTime wall, const wire::SwitchCapture& what) {
  if (running_.size() == kMost) {
    return fail(Errc::exhausted, "capture: {} are running, the most at once (end one)", kMost);
  }
  const auto* segment = what.network.empty() ? nullptr : segments_.find(what.network);
  if (!what.network.empty() && !segment) {
    return fail(Errc::not_found, "capture: this switch has no network {}", what.network.substr(0, 64));
  }
  running_.push_back({what, std::make_unique<Capture>(now, wall, what.snap_bytes)});
  return running_.back().capture.get();
}

void Captures::stop(const Capture* capture) {
  running_.remove_if([&](const Running& each) { return each.capture.get() == capture; });
}

void Captures::came(TimePoint now, const sys::Packet& packet) {
  if (packet.port != 0) see(now, packet.port, pcapng::Direction::inbound, packet.bytes, packet.offload);
}

void Captures::goes(TimePoint now, std::span<const sys::OutPacket> packets) {
  for (const auto& each : packets) {
    if (each.port != 0) see(now, each.port, pcapng::Direction::outbound, each.bytes, each.offload);
  }
}

void Captures::see(TimePoint now, sys::PortHandle handle, pcapng::Direction direction, ByteView frame,
                   const sys::Offload& offload) {
  const auto* device = segments_.attached(handle);
  if (!device) return;
  for (const auto& each : running_) {
    if (!each.what.network.empty() && each.what.network != device->segment->id()) continue;
    const bool wanted = each.what.instance.empty() || (device->port && device->port->instance == each.what.instance);
    if (wanted) each.capture->see(now, handle, name_of(*device), direction, frame, offload);
  }
}

}  // namespace godwit::overlay
