#include "overlay/devices.h"

namespace godwit::overlay {
namespace {

constexpr const char* kHostDevice = "gwhosts";

sys::GatewaySpec gateway_spec(const Segment& segment) {
  sys::GatewaySpec spec;
  spec.network_namespace = segment.gateway_namespace();
  spec.mac = segment.gateway().bits;
  spec.mtu = segment.mtu();
  spec.addresses = {segment.gateway_address(), "169.254.169.254/32"};
  if (const auto address = segment.gateway_address6(); !address.empty()) spec.addresses.push_back(address);
  return spec;
}

}  // namespace

std::string tap_name(const PortName& port) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a
  for (const char each : port.network + port.instance)
    hash = (hash ^ static_cast<unsigned char>(each)) * 0x100000001b3ULL;
  return fmt::format("gws{:012x}", hash >> 16U);
}

Devices::Wanted Devices::wanted(TimePoint now) const {
  Wanted out;
  if (core_.uses_host_network()) {
    const auto address = core_.host_network().address() + "/48";
    out[PortName{}].own = {kHostDevice, HostNetwork::kMac, HostNetwork::kMtu, address};
  }
  for (const auto& [id, segment] : core_.segments().all()) {
    for (const auto& [instance, port] : segment->ports()) {
      if (port.leaf_key) continue;
      Device device;
      device.tap = tap_name({id, instance});
      device.guest = port.guest_device;
      device.mtu = segment->mtu();
      device.queues = port.queues;
      out.emplace(PortName{id, instance}, std::move(device));
    }
    if (segment->bridges(now)) {
      Device device;
      device.tap = tap_name({id, kLanPort});
      device.guest = segment->lan_device();
      device.mtu = segment->mtu();
      out.emplace(PortName{id, kLanPort}, std::move(device));
    }
    if (segment->gateway_namespace().empty()) continue;
    Device device;
    device.spec = gateway_spec(*segment);
    device.mtu = segment->mtu();
    out.emplace(PortName{id, ""}, std::move(device));
  }
  return out;
}

bool Devices::reconcile(TimePoint now) {
  auto now_wanted = wanted(now);
  bool all = true;
  for (auto each = devices_.begin(); each != devices_.end();) {
    const auto found = now_wanted.find(each->first);
    const bool keep = found != now_wanted.end() && found->second.guest == each->second.guest &&
                      found->second.mtu == each->second.mtu && found->second.queues == each->second.queues &&
                      found->second.spec == each->second.spec;
    const bool removed = !keep && remove(each->first, each->second);
    all = all && (keep || removed);
    each = removed ? devices_.erase(each) : std::next(each);
  }
  for (auto& [name, device] : now_wanted) {
    const auto [at, added] = devices_.try_emplace(name, std::move(device));
    all = make(at->first, at->second) && all;
  }
  return all;
}

bool Devices::remove(const PortName& name, Device& device) {
  close(name, device);
  if (name.network.empty()) {
    const auto removed = links_.remove_tap(device.own.name);
    return removed || complain(name, device, removed.error());
  }
  if (name.instance.empty()) {
    const auto removed = links_.remove_gateway(device.spec.network_namespace);
    return removed || complain(name, device, removed.error());
  }
  const auto parted = links_.part(device.guest);
  const auto removed = parted ? links_.remove_tap(device.tap) : parted;
  return removed || complain(name, device, removed.error());
}

bool Devices::make(const PortName& name, Device& device) {
  if (name.network.empty()) return make_own(name, device);
  return name.instance.empty() ? make_gateway(name, device) : make_port(name, device);
}

bool Devices::make_port(const PortName& name, Device& device) {
  if (device.handle == 0) {
    auto opened = links_.open_tap(device.tap, device.mtu, device.queues);
    if (!opened) return complain(name, device, opened.error());
    device.handle = io_.attach(std::move(*opened));
  }
  const auto joined = links_.join(device.tap, device.guest, name.instance == kLanPort);
  if (!joined) {
    if (joined.error().code == Errc::not_found) close(name, device);  // somebody removed it: made anew the next time
    return complain(name, device, joined.error());
  }
  core_.attach(name, *joined ? device.handle : 0);
  device.complaint.clear();
  return true;
}

bool Devices::make_gateway(const PortName& name, Device& device) {
  if (device.handle == 0) {
    auto opened = links_.open_gateway(device.spec);
    if (!opened) return complain(name, device, opened.error());
    device.handle = io_.attach(std::move(*opened));
  }
  core_.attach(name, device.handle);
  device.complaint.clear();
  return true;
}

bool Devices::make_own(const PortName& name, Device& device) {
  if (device.handle == 0) {
    auto opened = links_.open_host_device(device.own);
    if (!opened) return complain(name, device, opened.error());
    device.handle = io_.attach(std::move(*opened));
  }
  core_.attach(name, device.handle);
  device.complaint.clear();
  return true;
}

void Devices::close(const PortName& name, Device& device) {
  if (device.handle == 0) return;
  core_.attach(name, 0);
  io_.detach(device.handle);
  device.handle = 0;
}

bool Devices::complain(const PortName& name, Device& device, const Error& error) {
  if (device.complaint != error.message) {
    const auto what = name.network.empty()    ? "this host's end of the hosts' network"
                      : name.instance.empty() ? fmt::format("network {}: gateway", name.network)
                                              : fmt::format("network {}: {}", name.network, name.instance);
    log_.warn("{}: {}", what, error.message);
  }
  device.complaint = error.message;
  return false;
}

}  // namespace godwit::overlay
