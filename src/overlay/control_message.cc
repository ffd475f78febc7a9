#include "overlay/control_message.h"

#include "base/assert.h"
#include "base/byte_reader.h"
#include "base/id.h"
#include "crypto/statement.h"
#include "overlay/location_claim.h"
#include "sys/packet.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

enum class Kind : std::uint8_t {
  announce = 1,
  ack = 2,
  probe = 3,
  pong = 4,
  announce_with_record = 5,
  announce_with_claim = 6
};

constexpr std::size_t kInstanceBytes = 19;  // "i-" and 17 hex digits

void append_text(ByteVector& out, std::string_view text) { append(out, as_bytes(text)); }

void append_label(ByteVector& out, const std::string& label) {
  GODWIT_ASSERT(is_label(label));
  out.push_back(static_cast<std::byte>(label.size()));
  append_text(out, label);
}

void append_instance(ByteVector& out, const std::string& instance) {
  GODWIT_ASSERT(is_id("i", instance));
  append_text(out, instance);
}

// Of a location's host; empty where it has none, or what it has can't be one.
ByteVector record_of(const Announce& announce) {
  return crypto::statement_from_text(announce.location.record).value_or(ByteVector{});
}
ByteVector claim_of(const Announce& announce) {
  const auto claim = claim_from_text(announce.location.claim);
  return claim ? encode_claim(*claim) : ByteVector{};
}

Kind kind_of(const Control& control) {
  const auto* announce = std::get_if<Announce>(&control.body);
  if (announce && !claim_of(*announce).empty()) return Kind::announce_with_claim;
  if (announce && !record_of(*announce).empty()) return Kind::announce_with_record;
  return static_cast<Kind>(control.body.index() + 1);  // the kinds, in the variant's order
}

void append_body(ByteVector& out, const Announce& announce) {
  const auto& location = announce.location;
  const auto endpoint = sys::parse_udp_endpoint(location.underlay_ip, location.underlay_port);
  GODWIT_ASSERT(endpoint);
  append_instance(out, announce.instance);
  append_be64(out, location.version);
  append(out, endpoint->ip);
  append_be16(out, location.underlay_port);
  append_label(out, location.cloud);
  append_label(out, location.host);
  const auto record = record_of(announce);
  const auto claim = claim_of(announce);
  if (record.empty() && claim.empty()) return;
  append_be16(out, static_cast<std::uint16_t>(record.size()));
  append(out, record);
  if (claim.empty()) return;
  append_be16(out, static_cast<std::uint16_t>(claim.size()));
  append(out, claim);
}
void append_body(ByteVector& out, const Ack& ack) {
  append_instance(out, ack.instance);
  append_be64(out, ack.version);
}
void append_body(ByteVector& /*out*/, const Probe& /*probe*/) {}
void append_body(ByteVector& /*out*/, const Pong& /*pong*/) {}

Announce read_announce(ByteReader& from) {
  Announce out;
  out.instance = from.text(kInstanceBytes);
  out.location.version = from.be64();
  sys::UdpEndpoint endpoint;
  const auto ip = from.take(endpoint.ip.size());
  std::copy(ip.begin(), ip.end(), endpoint.ip.begin());
  out.location.underlay_ip = sys::ip_to_string(endpoint);
  out.location.underlay_port = from.be16();
  out.location.cloud = from.short_text();
  out.location.host = from.short_text();
  return out;
}

Announce read_announce_with_record(ByteReader& from) {
  auto out = read_announce(from);
  const auto record = from.take(from.be16());
  if (record.size() <= crypto::kStatementBytes) out.location.record = to_base64url(record);
  return out;
}

// Empty where it is none: what others say is passed on.
Announce read_announce_with_claim(ByteReader& from) {
  auto out = read_announce_with_record(from);
  const auto claim = decode_claim(from.take(from.be16()));
  if (claim) out.location.claim = claim_to_text(*claim);
  return out;
}

bool makes_sense(const Announce& announce) {
  const auto& location = announce.location;
  return is_id("i", announce.instance) && location.version != 0 && location.underlay_port != 0 &&
         is_label(location.cloud) && is_label(location.host);
}
bool makes_sense(const Ack& ack) { return is_id("i", ack.instance); }

std::expected<Control, Drop> read_control(ByteView body) {
  ByteReader from(body);
  const auto kind = from.take(1);
  Control out;
  out.nonce = from.be64();
  bool sensible = !kind.empty();
  if (sensible) {
    switch (static_cast<Kind>(kind[0])) {
      case Kind::announce: sensible = makes_sense(std::get<Announce>(out.body = read_announce(from))); break;
      case Kind::announce_with_record: {
        auto announce = read_announce_with_record(from);
        sensible = makes_sense(announce) && !announce.location.record.empty();
        out.body = std::move(announce);
        break;
      }
      case Kind::announce_with_claim: {
        auto announce = read_announce_with_claim(from);
        sensible = makes_sense(announce) && !announce.location.claim.empty() &&
                   announce.location.claim.size() <= wire::kClaimText;
        out.body = std::move(announce);
        break;
      }
      case Kind::ack: {
        auto ack = Ack{from.text(kInstanceBytes), from.be64()};
        sensible = makes_sense(ack);
        out.body = std::move(ack);
        break;
      }
      case Kind::probe: out.body = Probe{}; break;
      case Kind::pong: out.body = Pong{}; break;
      default: sensible = false;
    }
  }
  if (!sensible || !from.ended_in_order()) return std::unexpected(Drop::malformed);
  return out;
}

// What is authenticated: the network's number, which stands in the record's header, and the message.
ByteVector covered_by_mac(std::uint32_t vni, ByteView message) {
  ByteVector out;
  out.reserve(kControlLimit);
  append_be32(out, vni);
  append(out, message);
  return out;
}

}  // namespace

ByteVector encode_control(std::uint32_t vni, const Control& control, crypto::MacKey& key) {
  ByteVector out;
  out.push_back(static_cast<std::byte>(kind_of(control)));
  append_be64(out, control.nonce);
  std::visit([&](const auto& body) { append_body(out, body); }, control.body);
  append(out, key.compute(covered_by_mac(vni, out)));
  GODWIT_ASSERT(out.size() <= kControlLimit);
  return out;
}

std::expected<Control, Drop> decode_control(std::uint32_t vni, ByteView record, crypto::MacKey& key) {
  if (record.size() < kControlMacBytes || record.size() > kControlLimit) return std::unexpected(Drop::malformed);
  const auto message = record.first(record.size() - kControlMacBytes);
  if (!key.verify(covered_by_mac(vni, message), record.last(kControlMacBytes)))
    return std::unexpected(Drop::not_authentic);
  return read_control(message);
}

}  // namespace godwit::overlay
