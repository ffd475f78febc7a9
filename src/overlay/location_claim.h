// Whether to believe that an instance is where somebody says it is: a location record, and the hand-offs that lead to
// it from where it was. The rule, and why it is this one: docs/decisions/location-records.md. Pure.
#pragma once

#include "crypto/location_record.h"

#include <map>
#include <string>
#include <vector>

namespace godwit::overlay {

constexpr std::size_t kMostHandOffs = 8;

// What somebody shows, each part as it was signed.
struct LocationClaim {
  ByteVector record;
  std::vector<ByteVector> hand_offs;  // the oldest first

  bool operator==(const LocationClaim&) const = default;
};

// Number of parts (1), then each: length (2, big-endian) and bytes; the record is the first.
[[nodiscard]] ByteVector encode_claim(const LocationClaim& claim);
// For any bytes. Errors: invalid_argument (cut short, longer, no part or more than 1 + kMostHandOffs, a part that is
// empty or longer than crypto::kStatementBytes).
[[nodiscard]] Result<LocationClaim> decode_claim(ByteView bytes);

// What is believed of an instance. Epoch 0: nothing yet.
struct Believed {
  std::string cloud;
  std::string host;
  std::uint64_t epoch{0};

  bool operator==(const Believed&) const = default;
};

// Of whom the claim must be.
struct Claimed {
  std::string network;
  std::uint32_t vni{0};
  std::string instance;
};

using Authorities = std::map<std::string, crypto::Authority>;  // by cloud

// What to believe after `claim`, for somebody who believes `before`. Where nothing is believed yet only the own cloud
// can say where an instance is: a claim has nothing to follow from.
// Errors: invalid_argument (no claim), not_authentic (a signature, or it is of another instance or network), timed_out,
// conflict (an older epoch, or another host with the same one), denied (nobody has handed it off to that host).
[[nodiscard]] Result<Believed> judge(const Believed& before, const Claimed& of, const LocationClaim& claim,
                                     const Authorities& authorities, WallTime now);

}  // namespace godwit::overlay
