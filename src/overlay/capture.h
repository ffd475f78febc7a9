// A capture of what crosses the devices of a switch, in a queue for a reader that may be slow: then frames are dropped
// and counted, and the data path never waits. Pure.
//
// Frames stand as the device gave or got them. A super-frame is one packet, as tcpdump shows it on a TAP whose sender
// leaves segmentation to the device, and says in a comment of what it consists.
#pragma once

#include "base/time.h"
#include "overlay/pcapng.h"
#include "sys/clock.h"
#include "sys/packet.h"

#include <string>
#include <unordered_map>
#include <utility>

namespace godwit::overlay {

class Capture {
 public:
  static constexpr std::size_t kMostQueued = std::size_t{4} << 20U;
  static constexpr std::size_t kMostInterfaces = 4096;

  // `now` is `wall`. snap_bytes 0: whole frames.
  Capture(TimePoint now, WallTime wall, std::uint32_t snap_bytes);

  // A frame that came from (inbound) or goes to (outbound) the device of that name.
  void see(TimePoint now, sys::PortHandle handle, const std::string& name, pcapng::Direction direction, ByteView frame,
           const sys::Offload& offload);
  // What was counted so far, of each interface.
  void add_statistics(TimePoint now);
  // What is to be written now, in order.
  [[nodiscard]] ByteVector take() { return std::exchange(queue_, {}); }
  [[nodiscard]] std::uint64_t dropped() const;

 private:
  struct Interface {
    std::uint32_t number{0};
    std::uint64_t received{0};
    std::uint64_t dropped{0};
  };
  [[nodiscard]] Interface* interface_of(sys::PortHandle handle, const std::string& name);
  [[nodiscard]] std::uint64_t time_ns(TimePoint now) const;

  TimePoint began_;
  WallTime began_wall_;
  std::uint32_t snap_bytes_;
  std::unordered_map<sys::PortHandle, Interface> interfaces_;
  ByteVector queue_;
};

}  // namespace godwit::overlay
