// The captures that run on a switch, and which devices each is of. Costs a comparison a batch while there is none.
#pragma once

#include "overlay/capture.h"
#include "overlay/segments.h"

#include <list>
#include <memory>

namespace godwit::overlay {

class Captures {
 public:
  static constexpr std::size_t kMost = 8;

  // `segments` outlives it.
  explicit Captures(const Segments& segments) : segments_(segments) {}

  // Lives until stop(). Errors: not_found (no such network or instance here), exhausted (kMost).
  [[nodiscard]] Result<Capture*> start(TimePoint now, WallTime wall, const wire::SwitchCapture& what);
  void stop(const Capture* capture);
  [[nodiscard]] bool any() const { return !running_.empty(); }

  void came(TimePoint now, const sys::Packet& packet);
  void goes(TimePoint now, std::span<const sys::OutPacket> packets);

 private:
  struct Running {
    wire::SwitchCapture what;
    std::unique_ptr<Capture> capture;
  };
  void see(TimePoint now, sys::PortHandle handle, pcapng::Direction direction, ByteView frame,
           const sys::Offload& offload);

  const Segments& segments_;
  std::list<Running> running_;
};

}  // namespace godwit::overlay
