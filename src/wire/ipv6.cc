#include "wire/ipv6.h"

#include "wire/checksum.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace godwit::wire {
namespace {

constexpr std::uint64_t kLinkLocalPrefix = 0xfe80000000000000ULL;
constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kFragment = 44;
constexpr std::uint8_t kAuthentication = 51;
constexpr std::uint8_t kDestinationOptions = 60;
constexpr std::size_t kNeighbourMessage = 24;
constexpr std::uint8_t kSourceLinkAddress = 1;
constexpr std::uint8_t kTargetLinkAddress = 2;
constexpr std::uint8_t kWholeHopLimit = 255;

std::uint8_t byte_at(ByteView bytes, std::size_t at) { return std::to_integer<std::uint8_t>(bytes[at]); }

bool is_extension(std::uint8_t protocol) {
  return protocol == kHopByHop || protocol == kRouting || protocol == kFragment || protocol == kAuthentication ||
         protocol == kDestinationOptions;
}

// The extension header at out.payload. False: it is cut short.
bool step(ByteView packet, Ipv6Packet& out) {
  const auto rest = packet.subspan(out.payload);
  if (rest.size() < 8) return false;
  std::size_t size = 8;
  if (out.protocol == kFragment) {
    const auto field = load_be16(rest.subspan(2));
    out.fragment_at = field >> 3U;
    out.fragment = (field & 0xfff9U) != 0;
    out.fragment_id = load_be32(rest.subspan(4));
  } else if (out.protocol == kAuthentication) {
    size = (std::size_t{byte_at(rest, 1)} + 2) * 4;
  } else {
    size = (std::size_t{byte_at(rest, 1)} + 1) * 8;
  }
  if (size > rest.size()) return false;
  out.protocol = byte_at(rest, 0);
  out.payload += size;
  return true;
}

Mac load_mac(ByteView bytes) {
  return {(static_cast<std::uint64_t>(load_be16(bytes)) << 32U) | load_be32(bytes.subspan(2))};
}

void store_mac(ByteSpan bytes, Mac mac) {
  store_be16(bytes, static_cast<std::uint16_t>(mac.bits >> 32U));
  store_be32(bytes.subspan(2), static_cast<std::uint32_t>(mac.bits));
}

}  // namespace

bool Ipv6Prefix::contains(Ipv6 other) const {
  const auto differs = [](std::uint64_t a, std::uint64_t b, unsigned bits) {
    return bits != 0 && ((a ^ b) >> (64U - bits)) != 0;
  };
  return !differs(address.high, other.high, std::min(length, 64U)) &&
         !differs(address.low, other.low, length > 64 ? length - 64 : 0);
}

Result<Ipv6> parse_ipv6(std::string_view text) {
  std::array<std::byte, 16> bytes{};
  const std::string copy(text.substr(0, 64));
  if (copy.size() != text.size() || copy.find('\0') != copy.npos ||
      inet_pton(AF_INET6, copy.c_str(), bytes.data()) != 1) {
    return fail(Errc::invalid_argument, "IPv6 address \"{}\": must be like fd12:3456:789a:bcde::1", copy);
  }
  return load_ipv6(bytes);
}

Result<Ipv6Prefix> parse_ipv6_prefix(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = parse_ipv6(text.substr(0, slash));
  unsigned length = 129;
  if (slash != std::string_view::npos) {
    const auto digits = text.substr(slash + 1);
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (read.ec != std::errc{} || read.ptr != digits.data() + digits.size()) length = 129;
  }
  if (!address || length > 128) {
    return fail(Errc::invalid_argument, "network \"{}\": must be like fd12:3456:789a:bcde::/64", text.substr(0, 64));
  }
  return Ipv6Prefix{*address, length};
}

std::string to_string(Ipv6 address) {
  std::array<std::byte, 16> bytes{};
  store_ipv6(bytes, address);
  std::array<char, INET6_ADDRSTRLEN> text{};
  return inet_ntop(AF_INET6, bytes.data(), text.data(), text.size());
}

Ipv6 load_ipv6(ByteView bytes) { return {load_be64(bytes), load_be64(bytes.subspan(8))}; }

void store_ipv6(ByteSpan bytes, Ipv6 address) {
  store_be64(bytes, address.high);
  store_be64(bytes.subspan(8), address.low);
}

Ipv6 link_local_of(Mac mac) {
  const auto flipped = mac.bits ^ 0x020000000000ULL;
  return {kLinkLocalPrefix, ((flipped & 0xffffff000000ULL) << 16U) | 0xfffe000000ULL | (flipped & 0xffffffULL)};
}

std::optional<Mac> mac_of_link_local(Ipv6 address) {
  if (address.high != kLinkLocalPrefix || (address.low & 0xffff000000ULL) != 0xfffe000000ULL) return std::nullopt;
  return Mac{(((address.low >> 16U) & 0xffffff000000ULL) | (address.low & 0xffffffULL)) ^ 0x020000000000ULL};
}

Ipv6 member_address(const Ipv6Prefix& network, Ipv4 member) { return {network.address.high, member.bits}; }

Mac multicast_mac(Ipv6 group) { return {0x333300000000ULL | (group.low & 0xffffffffULL)}; }

std::optional<Ipv6Packet> read_ipv6(ByteView packet) {
  if (packet.size() < kIpv6Header || (byte_at(packet, 0) >> 4U) != 6) return std::nullopt;
  Ipv6Packet out;
  out.source = load_ipv6(packet.subspan(8));
  out.destination = load_ipv6(packet.subspan(24));
  out.hop_limit = byte_at(packet, 7);
  out.protocol = byte_at(packet, 6);
  out.payload = kIpv6Header;
  for (std::size_t i = 0; is_extension(out.protocol); ++i) {
    if (i == kMostExtensions || !step(packet, out)) return std::nullopt;
    if (out.fragment_at != 0) break;  // what follows is from the middle of something
  }
  return out;
}

std::optional<NeighbourMessage> read_neighbour_message(const Ipv6Packet& header, ByteView packet) {
  if (header.protocol != kIcmpv6 || header.fragment || header.hop_limit != kWholeHopLimit) return std::nullopt;
  const auto message = packet.subspan(header.payload);
  if (message.size() < kNeighbourMessage || message[1] != std::byte{0}) return std::nullopt;
  NeighbourMessage out{static_cast<Icmpv6Type>(byte_at(message, 0)), load_ipv6(message.subspan(8)), {}};
  const bool solicitation = out.type == Icmpv6Type::neighbour_solicitation;
  if (!solicitation && out.type != Icmpv6Type::neighbour_advertisement) return std::nullopt;
  if (out.target.is_multicast() || out.target.is_unspecified()) return std::nullopt;
  for (auto options = message.subspan(kNeighbourMessage); options.size() >= 2;) {
    const std::size_t size = std::size_t{byte_at(options, 1)} * 8;
    if (size == 0 || size > options.size()) return std::nullopt;
    if (byte_at(options, 0) == (solicitation ? kSourceLinkAddress : kTargetLinkAddress)) {
      if (out.link_address) return std::nullopt;  // two say two things
      out.link_address = load_mac(options.subspan(2));
    }
    options = options.subspan(size);
  }
  return out;
}

std::uint16_t icmpv6_checksum(ByteView addresses, ByteView message) {
  const auto length = static_cast<std::uint32_t>(message.size());
  return static_cast<std::uint16_t>(~fold_sum(kIcmpv6 + length + sum_of_words(addresses) + sum_of_words(message)));
}

std::array<std::byte, kAdvertisementFrame> advertisement_frame(Mac to, Ipv6 to_address,
                                                               const Advertisement& advertisement) {
  std::array<std::byte, kAdvertisementFrame> out{};
  const ByteSpan frame(out);
  store_mac(frame, to);
  store_mac(frame.subspan(6), advertisement.target_mac);
  store_be16(frame.subspan(12), static_cast<std::uint16_t>(EtherType::ipv6));
  const auto ip = frame.subspan(kEthernetHeader);
  const auto message = ip.subspan(kIpv6Header);
  ip[0] = std::byte{0x60};
  store_be16(ip.subspan(4), static_cast<std::uint16_t>(message.size()));
  ip[6] = std::byte{kIcmpv6};
  ip[7] = std::byte{kWholeHopLimit};
  store_ipv6(ip.subspan(8), advertisement.target);
  store_ipv6(ip.subspan(24), to_address);
  message[0] = static_cast<std::byte>(Icmpv6Type::neighbour_advertisement);
  const unsigned flags = (advertisement.router ? 0x80U : 0U) | (advertisement.solicited ? 0x40U : 0U) | 0x20U;
  message[4] = static_cast<std::byte>(flags);
  store_ipv6(message.subspan(8), advertisement.target);
  message[24] = std::byte{kTargetLinkAddress};
  message[25] = std::byte{1};
  store_mac(message.subspan(26), advertisement.target_mac);
  store_be16(message.subspan(2), icmpv6_checksum(ip.subspan(8, 32), message));
  return out;
}

}  // namespace godwit::wire
