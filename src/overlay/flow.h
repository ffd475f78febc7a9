// Of which flow a guest's frame is: addresses, protocol and ports. Pure, bounded by the frame.
#pragma once

#include "base/bytes.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace godwit::overlay {

struct FlowKey {
  std::uint32_t vni{0};
  std::uint16_t ether_type{0};  // IPv4's or IPv6's
  std::uint8_t protocol{0};
  std::uint16_t source_port{0};  // of TCP, UDP and SCTP where the frame shows them; else 0
  std::uint16_t destination_port{0};
  std::array<std::byte, 16> source{};  // IPv4's in the first four
  std::array<std::byte, 16> destination{};

  bool operator==(const FlowKey&) const = default;
};

struct FlowKeyHash {
  std::size_t operator()(const FlowKey& key) const;
};

// Nothing where it is neither IPv4 nor IPv6, or cut short. Of IPv6 the first header is looked at only.
[[nodiscard]] std::optional<FlowKey> read_flow(std::uint32_t vni, ByteView frame);

[[nodiscard]] std::string source_of(const FlowKey& key);
[[nodiscard]] std::string destination_of(const FlowKey& key);
[[nodiscard]] std::string protocol_of(const FlowKey& key);  // "tcp", …; a number where it has no name here

}  // namespace godwit::overlay
