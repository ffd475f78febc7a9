// A TAP with IFF_VNET_HDR, through one descriptor a queue. Where it has several, the kernel gives each flow to the
// queue by which the flow was last written, whichever way round (drivers/net/tun.c, tun_flow_update).
#pragma once

#include "os/descriptor.h"
#include "sys/packet.h"

#include <vector>

namespace godwit::os {

class TapDevice final : public sys::PacketDevice {
 public:
  // Non-blocking descriptors of one device, one at least.
  explicit TapDevice(std::vector<Descriptor> queues);

  // The persistent TAP `name` of this thread's network namespace, made if it is not there. One that is there keeps the
  // number of queues that it was made with, in so far as it was made with one or with several.
  // Errors: conflict (another process holds it), invalid_argument, io.
  [[nodiscard]] static Result<std::unique_ptr<TapDevice>> open(const std::string& name, std::uint32_t queues);

  [[nodiscard]] std::span<const int> queues() const override { return descriptors_; }
  [[nodiscard]] std::optional<sys::DeviceFrame> read(std::size_t queue, ByteSpan room) override;
  [[nodiscard]] bool write(std::size_t queue, ByteView frame, const sys::Offload& offload) override;
  void flush() override {}  // each write has told the kernel

 private:
  std::vector<Descriptor> queues_;
  std::vector<int> descriptors_;  // of queues_
};

}  // namespace godwit::os
