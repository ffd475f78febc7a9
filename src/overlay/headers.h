// Where the headers of a super-frame are, as far as the kernel that cuts it would look. Bounded; for any bytes. Pure.
#pragma once

#include "sys/packet.h"
#include "wire/ethernet.h"

#include <optional>

namespace godwit::overlay {

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint16_t kTcpChecksumAt = 16;  // in its header
constexpr std::uint16_t kUdpChecksumAt = 6;

[[nodiscard]] constexpr bool is_known(std::uint8_t gso) {
  const auto kind = static_cast<sys::Gso>(gso & ~sys::kGsoEcn);
  return kind == sys::Gso::tcp4 || kind == sys::Gso::tcp6 || gso == static_cast<std::uint8_t>(sys::Gso::udp);
}

struct Headers {
  bool ipv4{false};
  bool tcp{false};           // else UDP
  std::size_t transport{0};  // where TCP's or UDP's header begins
  std::size_t end{0};        // and where it ends
};

// `frame` is a frame, or its beginning. Nothing where the headers are not those that offload.gso promises, or are cut
// short: fragments, extension headers of IPv6.
[[nodiscard]] std::optional<Headers> find_headers(const sys::Offload& offload, ByteView frame);

}  // namespace godwit::overlay
