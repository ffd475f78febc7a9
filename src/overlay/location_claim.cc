#include "overlay/location_claim.h"

#include "base/assert.h"
#include "base/byte_reader.h"

#include <algorithm>

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

// The end of a claim that was found good, if it is of the location that goes with it.
Result<WallTime> valid_until(const Claimed& of, const wire::Location& said, const LocationClaim& claim) {
  const auto record = crypto::read_location_record(claim.record);
  if (!record) return pass(record);
  if (record->cloud != said.cloud || record->host != said.host || record->epoch != said.version) {
    return fail(Errc::not_authentic, "{}: said to be at {}.{} with epoch {}, its claim is of {}.{} with {}",
                of.instance, said.host.substr(0, 64), said.cloud.substr(0, 64), said.version, record->host,
                record->cloud, record->epoch);
  }
  return record->validity.until;
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

std::string claim_to_text(const LocationClaim& claim) { return to_base64url(encode_claim(claim)); }

Result<LocationClaim> claim_from_text(std::string_view text) {
  if (text.size() > wire::kClaimText) return fail(Errc::invalid_argument, "location claim: too long");
  const auto bytes = from_base64url(text);
  if (!bytes || to_base64url(*bytes) != text) return fail(Errc::invalid_argument, "location claim: no base64url");
  return decode_claim(*bytes);
}

Result<std::string> claim_text(std::string_view record, const std::vector<std::string>& hand_offs) {
  auto statement = crypto::statement_from_text(record);
  if (!statement) return pass(statement);
  LocationClaim claim{std::move(*statement), {}};
  const auto most = std::min(hand_offs.size(), kMostHandOffs);
  for (auto each = hand_offs.end() - static_cast<std::ptrdiff_t>(most); each != hand_offs.end(); ++each) {
    auto hand_off = crypto::statement_from_text(*each);
    if (!hand_off) return pass(hand_off);
    claim.hand_offs.push_back(std::move(*hand_off));
  }
  return claim_to_text(claim);
}

std::vector<std::string> hand_offs_of(std::string_view claim) {
  std::vector<std::string> out;
  const auto read = claim_from_text(claim);
  if (!read) return out;
  for (const auto& each : read->hand_offs) out.push_back(to_base64url(each));
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

Result<WallTime> prove(const wire::Location& before, const Claimed& of, const wire::Location& said,
                       const Authorities& authorities, WallTime now) {
  const auto claim = claim_from_text(said.claim);
  if (!claim) return pass(claim);
  const auto after = judge({before.cloud, before.host, before.version}, of, *claim, authorities, now);
  if (!after) return pass(after);
  return valid_until(of, said, *claim);
}

Result<WallTime> prove_first(const Claimed& of, const wire::Location& said, const Authorities& authorities,
                             WallTime now) {
  const auto claim = claim_from_text(said.claim);
  if (!claim) return pass(claim);
  const auto record = open_record(of, claim->record, authorities, now);
  if (!record) return pass(record);
  if (record->grant != crypto::LocationGrant::here) {
    return fail(Errc::denied, "{}: its location record stands only with a hand-off", of.instance);
  }
  return valid_until(of, said, *claim);
}

Result<WallTime> prove_member(const wire::Network& network, const wire::Member& member, const wire::Location& before,
                              const wire::Location& said, const Authorities& authorities, WallTime now) {
  const Claimed of{network.id, network.vni, member.instance};
  const bool granted = said.cloud == member.granted_to && said.version == member.granted_version;
  const bool first = granted || before.version == 0 || has_ended(before, now);
  if (first && said.version > before.version) return prove_first(of, said, authorities, now);
  return prove(before, of, said, authorities, now);
}

}  // namespace godwit::overlay
