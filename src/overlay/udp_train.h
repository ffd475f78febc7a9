// Makes one super-frame of UDP frames of one flow that follow each other to one device: written at once, cut by whoever
// gets it. What the kernel's GRO does for packets of a card. Pure.
//
// Only frames whose checksum is still to be filled in: what was damaged before it came to us stays damaged.
#pragma once

#include "overlay/slicer.h"

namespace godwit::overlay {

class UdpTrain {
 public:
  static constexpr std::size_t kMostFrames = 64;  // UDP_MAX_SEGMENTS of kernels that guests have

  // `packet` is the last frame for its device. True: `frame` has been put behind it, and `packet` is both. Allocates
  // from `memory`, where it copies them to.
  [[nodiscard]] bool add(sys::OutPacket& packet, ByteView frame, const sys::Offload& offload, BatchMemory& memory);
  // A batch ends.
  void clear() { room_ = {}; }

 private:
  [[nodiscard]] bool begin(sys::OutPacket& packet, BatchMemory& memory);

  ByteSpan room_;  // of the train that is being made
};

}  // namespace godwit::overlay
