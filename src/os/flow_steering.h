// By which of its queues a device is given the frames of a flow: by the one that the flow last came from, as virtio
// asks of whoever steers (virtio 1.2, section 5.1.6.5.5), and as a TAP steers frames to us. So no frame overtakes
// another of its flow, in either direction. What has not come yet is spread.
#pragma once

#include "base/bytes.h"

#include <array>
#include <cstdint>

namespace godwit::os {

// Of addresses and ports, the same for both directions. 0 for what is neither IPv4 nor IPv6; fragments count without
// their ports, which only the first one has.
[[nodiscard]] std::uint32_t flow_hash(ByteView frame);

// One device's; 1 KiB. Flows that share a place in it end up in one queue, which is slower and still in order.
class FlowSteering {
 public:
  // `queues`: 1 to 255.
  explicit FlowSteering(std::size_t queues) : queues_(queues) {}

  void came(ByteView frame, std::size_t queue);
  [[nodiscard]] std::size_t queue_for(ByteView frame) const;

 private:
  static constexpr std::size_t kPlaces = 1024;

  std::size_t queues_;
  std::array<std::uint8_t, kPlaces> last_{};  // a queue's number and one; 0: it never came
};

}  // namespace godwit::os
