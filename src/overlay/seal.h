// The seam where frames between hosts become unreadable to others. In clear for now; sessions come here.
#pragma once

#include "sys/packet.h"

#include <optional>

namespace godwit::overlay {

// Works in place on one datagram: a header that is authenticated, and a payload that is sealed. One strand.
class Seal {
 public:
  virtual ~Seal() = default;
  // What stands in the header's third byte; never 0.
  [[nodiscard]] virtual std::uint8_t profile() const = 0;
  // `room` begins with `size` bytes of payload and has at least sys::kPacketTailroom bytes after them. Returns the
  // sealed size; nothing when there is no session with `peer` (yet).
  [[nodiscard]] virtual std::optional<std::size_t> seal(const sys::UdpEndpoint& peer, ByteView header, ByteSpan room,
                                                        std::size_t size) = 0;
  // Returns the size of the payload, which begins where `sealed` did; nothing when it is not authentic or a replay.
  [[nodiscard]] virtual std::optional<std::size_t> open(const sys::UdpEndpoint& peer, ByteView header,
                                                        ByteSpan sealed) = 0;
};

// Profile 1: nothing is hidden or authenticated. The underlay must be trusted.
class ClearSeal final : public Seal {
 public:
  [[nodiscard]] std::uint8_t profile() const override { return 1; }
  [[nodiscard]] std::optional<std::size_t> seal(const sys::UdpEndpoint& /*peer*/, ByteView /*header*/,
                                                ByteSpan /*room*/, std::size_t size) override {
    return size;
  }
  [[nodiscard]] std::optional<std::size_t> open(const sys::UdpEndpoint& /*peer*/, ByteView /*header*/,
                                                ByteSpan sealed) override {
    return sealed.size();
  }
};

}  // namespace godwit::overlay
