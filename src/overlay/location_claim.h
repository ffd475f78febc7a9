// Whether to believe that an instance is where somebody says it is: a location record, and the hand-offs that lead to
// it from where it was. The rule, and why it is this one: docs/decisions/location-records.md. Pure.
#pragma once

#include "crypto/location_record.h"
#include "wire/network.h"

#include <map>
#include <string>
#include <vector>

namespace godwit::overlay {

using wire::kMostHandOffs;

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

// The same as base64url, as wire::Location has it. Errors: invalid_argument.
[[nodiscard]] std::string claim_to_text(const LocationClaim& claim);
[[nodiscard]] Result<LocationClaim> claim_from_text(std::string_view text);
// Of statements as text; of more hand-offs than travel, the newest. Errors: invalid_argument.
[[nodiscard]] Result<std::string> claim_text(std::string_view record, const std::vector<std::string>& hand_offs);
// The hand-offs of a claim, each as text; none where it can't be read.
[[nodiscard]] std::vector<std::string> hand_offs_of(std::string_view claim);

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

// What was believed of it ends with its record.
[[nodiscard]] inline bool has_ended(const wire::Location& location, WallTime now) {
  return location.until_ms != 0 && now >= WallTime(Millis(location.until_ms));
}

// `said` is what its claim proves for somebody who believes `before`, and until when. Errors: those of judge();
// not_authentic also where the claim is of another host, cloud or epoch than it says.
[[nodiscard]] Result<WallTime> prove(const wire::Location& before, const Claimed& of, const wire::Location& said,
                                     const Authorities& authorities, WallTime now);
// The same for who believes nothing yet: the location record must stand by itself.
[[nodiscard]] Result<WallTime> prove_first(const Claimed& of, const wire::Location& said,
                                           const Authorities& authorities, WallTime now);
// The same for clouds and for sky, which are told by other clouds where `member` of `network` is: what was believed
// ends with its record, and sky's word can stand in for a hand-off (wire::Member::granted_to).
[[nodiscard]] Result<WallTime> prove_member(const wire::Network& network, const wire::Member& member,
                                            const wire::Location& before, const wire::Location& said,
                                            const Authorities& authorities, WallTime now);

}  // namespace godwit::overlay
