#include "sky/addresses.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace godwit::sky {
namespace {

constexpr int kDraws = 10'000;  // of the 16,384 /24s in 10.64.0.0/10

std::uint32_t draw32(sys::Random& random) {
  std::array<std::byte, 4> bytes{};
  random.fill(bytes);
  return load_be32(bytes);
}

std::string dotted(std::uint32_t address) {
  return fmt::format("{}.{}.{}.{}", address >> 24U, (address >> 16U) & 255U, (address >> 8U) & 255U, address & 255U);
}

// "10.77.0.0" and nothing after it, or nothing.
bool read_dotted(std::string_view text, std::uint32_t& address) {
  address = 0;
  for (int octet = 0; octet < 4; ++octet) {
    unsigned value = 256;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec != std::errc{} || value > 255) return false;
    address = (address << 8U) | value;
    text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
    if (octet == 3) return text.empty();
    if (!text.starts_with('.')) return false;
    text.remove_prefix(1);
  }
  return false;
}

bool is_private(const Cidr& network) {
  static const std::array<Cidr, 4> ranges{{{0x0a000000U, 8}, {0xac100000U, 12}, {0xc0a80000U, 16}, {0x64400000U, 10}}};
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const Cidr& range) { return network.prefix >= range.prefix && range.overlaps(network); });
}

}  // namespace

bool Cidr::overlaps(const Cidr& other) const {
  const auto shorter = std::min(prefix, other.prefix);
  if (shorter == 0) return true;
  return (base >> (32 - shorter)) == (other.base >> (32 - shorter));
}

std::string Cidr::address(std::uint32_t nth) const { return dotted(base + nth); }

std::string Cidr::text() const { return fmt::format("{}/{}", dotted(base), prefix); }

Result<Cidr> parse_cidr(std::string_view text) {
  const auto bad = [&](std::string_view rule) {
    return fail(Errc::invalid_argument, "cidr \"{}\": {}", text.substr(0, 64), rule);
  };
  Cidr cidr;
  const auto slash = text.find('/');
  if (slash == std::string_view::npos || !read_dotted(text.substr(0, slash), cidr.base)) {
    return bad("must be an IPv4 network such as 10.77.0.0/24");
  }
  const auto digits = text.substr(slash + 1);
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), cidr.prefix);
  if (read.ec != std::errc{} || read.ptr != digits.data() + digits.size() || cidr.prefix < 8 || cidr.prefix > 28) {
    return bad("the prefix must be /8 to /28");
  }
  if (cidr.base & (cidr.size() - 1)) return bad("has bits set behind its prefix");
  if (!is_private(cidr)) return bad("must be private (10/8, 172.16/12, 192.168/16 or 100.64/10)");
  return cidr;
}

Result<Cidr> draw_cidr(sys::Random& random, const std::vector<Cidr>& taken) {
  for (int draw = 0; draw < kDraws; ++draw) {
    const auto drawn = draw32(random);
    const Cidr cidr{0x0a400000U | (drawn & 0x003fff00U), 24};
    if (std::none_of(taken.begin(), taken.end(), [&](const Cidr& each) { return each.overlaps(cidr); })) return cidr;
  }
  return fail(Errc::exhausted, "cidr: no /24 of 10.64.0.0/10 is free (delete a cluster, or name a --cidr)");
}

std::string draw_mac(sys::Random& random) {
  std::array<std::byte, 5> bytes{};
  random.fill(bytes);
  std::string mac = "02";
  for (const auto byte : bytes) mac += fmt::format(":{:02x}", std::to_integer<unsigned>(byte));
  return mac;
}

std::uint32_t draw_vni(sys::Random& random) { return draw32(random) % ((1U << 24U) - 1) + 1; }

}  // namespace godwit::sky
