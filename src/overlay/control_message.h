// What switches say to each other in control records, byte by byte: docs/protocols/overlay.md. Pure.
#pragma once

#include "crypto/mac.h"
#include "overlay/counters.h"
#include "wire/network.h"

#include <cstdint>
#include <expected>
#include <string>
#include <variant>

namespace godwit::overlay {

constexpr std::size_t kControlMacBytes = std::tuple_size_v<crypto::Mac>;

// "instance is at location from now on"; also sent to a host that is seen to believe something older. The record of the
// location's host and the claim go along where it has them; until when it holds is not said, but read from the claim.
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

// The longest control record.
constexpr std::size_t kControlLimit = 3328;

// Cloud and host of an announced location are DNS labels, its address numeric, the instance an id: a caller's bug else.
// `vni` is the network's, as the record's header has it: it is authenticated too.
[[nodiscard]] ByteVector encode_control(std::uint32_t vni, const Control& control, crypto::MacKey& key);
// Errors: not_authentic, malformed.
[[nodiscard]] std::expected<Control, Drop> decode_control(std::uint32_t vni, ByteView record, crypto::MacKey& key);

}  // namespace godwit::overlay
