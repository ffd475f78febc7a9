#include "wire/ethernet.h"

#include <algorithm>
#include <charconv>

namespace godwit::wire {
namespace {

constexpr std::uint16_t kHardwareEthernet = 1;
constexpr std::uint8_t kProtocolUdp = 17;

Mac load_mac(ByteView bytes) {
  return {(static_cast<std::uint64_t>(load_be16(bytes)) << 32U) | load_be32(bytes.subspan(2))};
}

void store_mac(ByteSpan bytes, Mac mac) {
  store_be16(bytes, static_cast<std::uint16_t>(mac.bits >> 32U));
  store_be32(bytes.subspan(2), static_cast<std::uint32_t>(mac.bits));
}

// A number of `text` up to `most`, all of it digits of the base; nothing else.
std::optional<unsigned> number(std::string_view text, int base, unsigned most) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

}  // namespace

Result<Mac> parse_mac(std::string_view text) {
  const auto bad = [&] {
    return fail(Errc::invalid_argument, "MAC address \"{}\": must be like 02:67:00:00:00:01", text.substr(0, 32));
  };
  if (text.size() != 17) return bad();
  Mac mac;
  for (std::size_t at = 0; at < 17; at += 3) {
    const auto byte = number(text.substr(at, 2), 16, 255);
    if (!byte || (at + 2 < 17 && text[at + 2] != ':')) return bad();
    mac.bits = (mac.bits << 8U) | *byte;
  }
  return mac;
}

Result<Ipv4> parse_ipv4(std::string_view text) {
  const auto bad = [&] {
    return fail(Errc::invalid_argument, "IPv4 address \"{}\": must be like 10.77.0.11", text.substr(0, 32));
  };
  Ipv4 address;
  std::string_view rest = text;
  for (int part = 0; part < 4; ++part) {
    const auto dot = part < 3 ? rest.find('.') : rest.size();
    if (dot == std::string_view::npos || dot == 0 || dot > 3) return bad();
    const auto byte = number(rest.substr(0, dot), 10, 255);
    if (!byte) return bad();
    address.bits = (address.bits << 8U) | *byte;
    if (part < 3) rest.remove_prefix(dot + 1);
  }
  return address;
}

Result<Ipv4Prefix> parse_ipv4_prefix(std::string_view text) {
  const auto slash = text.find('/');
  const auto length = slash == std::string_view::npos ? std::nullopt : number(text.substr(slash + 1), 10, 32);
  const auto address = parse_ipv4(text.substr(0, slash));
  if (!address || !length) {
    return fail(Errc::invalid_argument, "network \"{}\": must be like 10.77.0.0/24", text.substr(0, 32));
  }
  return Ipv4Prefix{*address, *length};
}

std::string to_string(Mac mac) {
  std::string out;
  for (int shift = 40; shift >= 0; shift -= 8) {
    out += fmt::format("{}{:02x}", shift == 40 ? "" : ":", (mac.bits >> static_cast<unsigned>(shift)) & 0xffU);
  }
  return out;
}

std::string to_string(Ipv4 address) {
  return fmt::format("{}.{}.{}.{}", address.bits >> 24U, (address.bits >> 16U) & 0xffU, (address.bits >> 8U) & 0xffU,
                     address.bits & 0xffU);
}

std::optional<EthernetHeader> read_ethernet(ByteView frame) {
  if (frame.size() < kEthernetHeader) return std::nullopt;
  return EthernetHeader{load_mac(frame), load_mac(frame.subspan(6)),
                        static_cast<EtherType>(load_be16(frame.subspan(12)))};
}

std::optional<Arp> read_arp(ByteView payload) {
  if (payload.size() < kArpFrame - kEthernetHeader) return std::nullopt;
  const bool ethernet_ipv4 = load_be16(payload) == kHardwareEthernet &&
                             load_be16(payload.subspan(2)) == static_cast<std::uint16_t>(EtherType::ipv4) &&
                             payload[4] == std::byte{6} && payload[5] == std::byte{4};
  if (!ethernet_ipv4) return std::nullopt;
  return Arp{static_cast<ArpOperation>(load_be16(payload.subspan(6))), load_mac(payload.subspan(8)),
             Ipv4{load_be32(payload.subspan(14))}, load_mac(payload.subspan(18)), Ipv4{load_be32(payload.subspan(24))}};
}

std::array<std::byte, kArpFrame> arp_frame(const EthernetHeader& header, const Arp& arp) {
  std::array<std::byte, kArpFrame> out{};
  const ByteSpan frame(out);
  store_mac(frame, header.destination);
  store_mac(frame.subspan(6), header.source);
  store_be16(frame.subspan(12), static_cast<std::uint16_t>(EtherType::arp));
  const auto payload = frame.subspan(kEthernetHeader);
  store_be16(payload, kHardwareEthernet);
  store_be16(payload.subspan(2), static_cast<std::uint16_t>(EtherType::ipv4));
  payload[4] = std::byte{6};
  payload[5] = std::byte{4};
  store_be16(payload.subspan(6), static_cast<std::uint16_t>(arp.operation));
  store_mac(payload.subspan(8), arp.sender_mac);
  store_be32(payload.subspan(14), arp.sender_ip.bits);
  store_mac(payload.subspan(18), arp.target_mac);
  store_be32(payload.subspan(24), arp.target_ip.bits);
  return out;
}

std::optional<Ipv4Header> read_ipv4(ByteView payload) {
  if (payload.size() < 20 || (std::to_integer<unsigned>(payload[0]) >> 4U) != 4) return std::nullopt;
  const std::size_t header_bytes = (std::to_integer<std::size_t>(payload[0]) & 0xfU) * 4;
  if (header_bytes < 20 || header_bytes > payload.size()) return std::nullopt;
  Ipv4Header out{Ipv4{load_be32(payload.subspan(12))}, Ipv4{load_be32(payload.subspan(16))},
                 std::to_integer<std::uint8_t>(payload[9]), 0};
  const bool first_fragment = (load_be16(payload.subspan(6)) & 0x1fffU) == 0;
  if (out.protocol == kProtocolUdp && first_fragment && payload.size() >= header_bytes + 8) {
    out.udp_destination_port = load_be16(payload.subspan(header_bytes + 2));
  }
  return out;
}

std::optional<std::array<std::byte, 16>> read_ipv6_source(ByteView payload) {
  if (payload.size() < 40 || (std::to_integer<unsigned>(payload[0]) >> 4U) != 6) return std::nullopt;
  std::array<std::byte, 16> out{};
  std::copy_n(payload.begin() + 8, out.size(), out.begin());
  return out;
}

}  // namespace godwit::wire
