#include "overlay/control_message.h"

#include "base/assert.h"
#include "base/id.h"
#include "sys/packet.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

enum class Kind : std::uint8_t { announce = 1, ack = 2, probe = 3, pong = 4 };

constexpr std::size_t kKeyBytes = 32;
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

void append_key(ByteVector& out, const std::string& hex) {
  const auto key = from_hex(hex);
  GODWIT_ASSERT(key && (key->empty() || key->size() == kKeyBytes));
  append(out, *key);
  out.resize(out.size() + kKeyBytes - key->size());  // all zero: not known
}

void append_body(ByteVector& out, const Announce& announce) {
  const auto& location = announce.location;
  const auto endpoint = sys::parse_udp_endpoint(location.underlay_ip, location.underlay_port);
  GODWIT_ASSERT(endpoint);
  append_instance(out, announce.instance);
  append_be64(out, location.version);
  append(out, endpoint->ip);
  append_be16(out, location.underlay_port);
  append_key(out, location.key);
  append_label(out, location.cloud);
  append_label(out, location.host);
}
void append_body(ByteVector& out, const Ack& ack) {
  append_instance(out, ack.instance);
  append_be64(out, ack.version);
}
void append_body(ByteVector& /*out*/, const Probe& /*probe*/) {}
void append_body(ByteVector& /*out*/, const Pong& /*pong*/) {}

// Takes fields off the front of a body; once one was not there, all the rest are empty.
class Reader {
 public:
  explicit Reader(ByteView body) : rest_(body) {}

  [[nodiscard]] ByteView take(std::size_t size) {
    if (size > rest_.size()) {
      whole_ = false;
      rest_ = {};
      return {};
    }
    const auto out = rest_.first(size);
    rest_ = rest_.subspan(size);
    return out;
  }
  [[nodiscard]] std::uint64_t be64() {
    const auto bytes = take(8);
    return whole_ ? load_be64(bytes) : 0;
  }
  [[nodiscard]] std::uint16_t be16() {
    const auto bytes = take(2);
    return whole_ ? load_be16(bytes) : std::uint16_t{0};
  }
  [[nodiscard]] std::string label() {
    const auto length = take(1);
    return whole_ ? std::string(as_text(take(std::to_integer<std::size_t>(length[0])))) : std::string();
  }
  [[nodiscard]] std::string instance() { return std::string(as_text(take(kInstanceBytes))); }
  [[nodiscard]] bool ended_in_order() const { return whole_ && rest_.empty(); }

 private:
  ByteView rest_;
  bool whole_{true};
};

Announce read_announce(Reader& from) {
  Announce out;
  out.instance = from.instance();
  out.location.version = from.be64();
  sys::UdpEndpoint endpoint;
  const auto ip = from.take(endpoint.ip.size());
  std::copy(ip.begin(), ip.end(), endpoint.ip.begin());
  out.location.underlay_ip = sys::ip_to_string(endpoint);
  out.location.underlay_port = from.be16();
  const auto key = from.take(kKeyBytes);
  const bool known = std::any_of(key.begin(), key.end(), [](std::byte each) { return each != std::byte{0}; });
  if (known) out.location.key = to_hex(key);
  out.location.cloud = from.label();
  out.location.host = from.label();
  return out;
}

bool makes_sense(const Announce& announce) {
  const auto& location = announce.location;
  return is_id("i", announce.instance) && location.version != 0 && location.underlay_port != 0 &&
         is_label(location.cloud) && is_label(location.host);
}
bool makes_sense(const Ack& ack) { return is_id("i", ack.instance); }

std::expected<Control, Drop> read_control(ByteView body) {
  Reader from(body);
  const auto kind = from.take(1);
  Control out;
  out.nonce = from.be64();
  bool sensible = !kind.empty();
  if (sensible) {
    switch (static_cast<Kind>(kind[0])) {
      case Kind::announce: sensible = makes_sense(std::get<Announce>(out.body = read_announce(from))); break;
      case Kind::ack: {
        auto ack = Ack{from.instance(), from.be64()};
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
  out.push_back(static_cast<std::byte>(control.body.index() + 1));  // the kinds, in the variant's order
  append_be64(out, control.nonce);
  std::visit([&](const auto& body) { append_body(out, body); }, control.body);
  append(out, key.compute(covered_by_mac(vni, out)));
  GODWIT_ASSERT(out.size() <= kControlLimit);
  return out;
}

std::expected<Control, Drop> decode_control(std::uint32_t vni, ByteView record, crypto::MacKey& key) {
  if (record.size() < kControlMacBytes || record.size() > kControlLimit) return std::unexpected(Drop::malformed);
  const auto message = record.first(record.size() - kControlMacBytes);
  if (!key.verify(covered_by_mac(vni, message), record.last(kControlMacBytes))) return std::unexpected(Drop::not_authentic);
  return read_control(message);
}

}  // namespace godwit::overlay
