// The IPv4 addresses and the MACs of a cluster's network.
#pragma once

#include "base/result.h"
#include "sys/clock.h"

#include <cstdint>
#include <string>
#include <vector>

namespace godwit::sky {

// A value: "10.77.0.0/24".
struct Cidr {
  std::uint32_t base{0};  // host byte order, host bits zero
  unsigned prefix{0};

  [[nodiscard]] std::uint32_t size() const { return 1U << (32 - prefix); }
  [[nodiscard]] bool overlaps(const Cidr& other) const;
  // The nth address as text; 0 is the network itself.
  [[nodiscard]] std::string address(std::uint32_t nth) const;
  [[nodiscard]] std::string text() const;
};

// The gateway is the first address, members begin here: room for services between.
constexpr std::uint32_t kFirstMember = 11;

// Errors: invalid_argument where it is no private IPv4 network (RFC 1918, RFC 6598) of /8 to /28.
[[nodiscard]] Result<Cidr> parse_cidr(std::string_view text);

// A /24 out of 10.64.0.0/10 that overlaps none of `taken`. Errors: exhausted.
[[nodiscard]] Result<Cidr> draw_cidr(sys::Random& random, const std::vector<Cidr>& taken);

// Locally administered, unicast: "02:…".
[[nodiscard]] std::string draw_mac(sys::Random& random);

// 1 to 2^24 - 1.
[[nodiscard]] std::uint32_t draw_vni(sys::Random& random);

}  // namespace godwit::sky
