// What switches say to each other by UDP, byte by byte: docs/protocols/overlay.md. Pure.
#pragma once

#include "crypto/mac.h"
#include "overlay/counters.h"
#include "wire/network.h"

#include <cstdint>
#include <expected>
#include <string>
#include <variant>

namespace godwit::overlay {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 8;
constexpr std::size_t kControlMacBytes = std::tuple_size_v<crypto::Mac>;
constexpr std::uint8_t kMostHops = 3;  // a frame that chases an instance gives up after as many hosts

enum class DatagramType : std::uint8_t { data = 1, control = 2 };

struct Header {
  DatagramType type{DatagramType::data};
  std::uint8_t seal{1};  // Seal::profile()
  std::uint8_t hops{0};  // by how many switches it was forwarded
  std::uint32_t vni{0};  // 24 bits

  bool operator==(const Header&) const = default;
};

void write_header(ByteSpan into, const Header& header);
// Nothing when it is too short, of another version or type, or has a flag or vni that can't be.
[[nodiscard]] std::optional<Header> read_header(ByteView datagram);

// "instance is at location from now on"; also sent to a host that is seen to believe something older. The record of the
// location's host goes along where it has one.
struct Announce {
  std::string instance;
  wire::Location location;
  bool operator==(const Announce&) const = default;
};
// "I know this, or better": version is what the sender now believes.
struct Ack {
  std::string instance;
  std::uint64_t version{0};
  bool operator==(const Ack&) const = default;
};
struct Probe {
  bool operator==(const Probe&) const = default;
};
struct Pong {
  bool operator==(const Pong&) const = default;
};

struct Control {
  std::uint64_t nonce{0};  // echoed by the answer; 0 in an Announce: no answer wanted
  std::variant<Announce, Ack, Probe, Pong> body;
  bool operator==(const Control&) const = default;
};

// The longest control datagram.
constexpr std::size_t kControlLimit = 512;

// Cloud and host of an announced location are DNS labels, its address numeric, the instance an id: a caller's bug else.
[[nodiscard]] ByteVector encode_control(std::uint32_t vni, const Control& control, crypto::MacKey& key);
// `datagram` has a header that read_header() took. Errors: not_authentic, malformed.
[[nodiscard]] std::expected<Control, Drop> decode_control(ByteView datagram, crypto::MacKey& key);

}  // namespace godwit::overlay
