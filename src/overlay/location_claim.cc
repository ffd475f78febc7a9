#include "overlay/location_claim.h"

#include "base/assert.h"
#include "base/byte_reader.h"

namespace godwit::overlay {
namespace {

void append_part(ByteVector& out, ByteView part) {
  append_be16(out, static_cast<std::uint16_t>(part.size()));
  append(out, part);
}

Result<const crypto::Authority*> authority_of(const Authorities& authorities, const std::string& cloud) {
  const auto found = authorities.find(cloud);
  if (found == authorities.end()) return fail(Errc::not_authentic, "nobody has introduced cloud {} here", cloud);
  return &found->second;
}

Result<crypto::LocationRecord> open_record(const Claimed& of, ByteView bytes, const Authorities& authorities,
                                           WallTime now) {
  const auto said = crypto::read_location_record(bytes);
  if (!said) return said;
  const auto authority = authority_of(authorities, said->cloud);
  if (!authority) return pass(authority);
  auto record = crypto::open_location_record(bytes, **authority, now);
  if (!record) return record;
  if (record->network != of.network || record->vni != of.vni || record->instance != of.instance) {
    return fail(Errc::not_authentic, "location record: it is of {} on {}", record->instance, record->network);
  }
  return record;
}

// Who has the instance when the hand-offs have been followed, and the last of them.
struct Holder {
  std::string cloud;
  std::uint64_t epoch{0};
  std::string host;  // that the last one names; empty: there was none
};

Result<Holder> follow(const Believed& before, const Claimed& of, const LocationClaim& claim,
                      const Authorities& authorities, WallTime now) {
  Holder holder{before.cloud, before.epoch, ""};
  for (const auto& bytes : claim.hand_offs) {
    const auto said = crypto::read_hand_off(bytes);
    if (!said) return pass(said);
    if (said->epoch <= before.epoch) continue;  // of a move that is known here
    const auto authority = authority_of(authorities, said->from_cloud);
    if (!authority) return pass(authority);
    const auto opened = crypto::open_hand_off(bytes, **authority, now);
    if (!opened) return pass(opened);
    if (opened->network != of.network || opened->instance != of.instance) {
      return fail(Errc::not_authentic, "hand-off: it is of {} on {}", opened->instance, opened->network);
    }
    if (opened->from_cloud != holder.cloud || opened->epoch <= holder.epoch) {
      return fail(Errc::denied, "hand-off of {}: {} has it with epoch {}, not {}", of.instance, holder.cloud,
                  holder.epoch, opened->from_cloud);
    }
    holder = {opened->to_cloud, opened->epoch, opened->to_host};
  }
  return holder;
}

// Whether the record is what the hand-offs lead to.
bool leads_to(const Holder& holder, const crypto::LocationRecord& record) {
  if (record.cloud != holder.cloud || record.epoch < holder.epoch) return false;
  const bool of_this_hand_off = !holder.host.empty() && record.epoch == holder.epoch;
  if (of_this_hand_off) return record.host == holder.host;
  return record.grant == crypto::LocationGrant::here;  // it has moved on inside the cloud that has it
}

}  // namespace

ByteVector encode_claim(const LocationClaim& claim) {
  GODWIT_ASSERT(claim.hand_offs.size() <= kMostHandOffs);
  ByteVector out;
  out.push_back(static_cast<std::byte>(1 + claim.hand_offs.size()));
  append_part(out, claim.record);
  for (const auto& each : claim.hand_offs) append_part(out, each);
  return out;
}

Result<LocationClaim> decode_claim(ByteView bytes) {
  const auto bad = [](std::string_view what) { return fail(Errc::invalid_argument, "location claim: {}", what); };
  ByteReader from(bytes);
  const std::size_t parts = from.byte();
  if (parts == 0 || parts > 1 + kMostHandOffs) return bad("no part, or too many");
  LocationClaim out;
  for (std::size_t i = 0; i < parts; ++i) {
    const auto part = from.take(from.be16());
    if (part.empty() || part.size() > crypto::kStatementBytes) return bad("a part is empty, or too long");
    auto& into = i == 0 ? out.record : out.hand_offs.emplace_back();
    into.assign(part.begin(), part.end());
  }
  if (!from.ended_in_order()) return bad("bytes are left over");
  return out;
}

Result<Believed> judge(const Believed& before, const Claimed& of, const LocationClaim& claim,
                       const Authorities& authorities, WallTime now) {
  if (claim.hand_offs.size() > kMostHandOffs) return fail(Errc::invalid_argument, "location claim: too many hand-offs");
  const auto record = open_record(of, claim.record, authorities, now);
  if (!record) return pass(record);
  Believed after{record->cloud, record->host, record->epoch};
  if (before.epoch == 0) return fail(Errc::denied, "{}: nothing is known of it yet", of.instance);
  if (after.epoch == before.epoch && after == before) return after;  // renewed
  if (after.epoch <= before.epoch) {
    return fail(Errc::conflict, "{}: epoch {} is at {}.{} already", of.instance, before.epoch, before.host,
                before.cloud);
  }
  const auto holder = follow(before, of, claim, authorities, now);
  if (!holder) return pass(holder);
  if (!leads_to(*holder, *record)) {
    return fail(Errc::denied, "{}: {} has it, and has not handed epoch {} off to {}.{}", of.instance, holder->cloud,
                record->epoch, record->host, record->cloud);
  }
  return after;
}

}  // namespace godwit::overlay
