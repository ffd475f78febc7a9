#include "sys/packet.h"

#include <arpa/inet.h>

#include <algorithm>

namespace godwit::sys {
namespace {

constexpr std::array<std::byte, 12> kMapped = {std::byte{0}, std::byte{0}, std::byte{0},   std::byte{0},
                                               std::byte{0}, std::byte{0}, std::byte{0},   std::byte{0},
                                               std::byte{0}, std::byte{0}, std::byte{255}, std::byte{255}};

}  // namespace

Result<UdpEndpoint> parse_udp_endpoint(const std::string& ip, std::uint16_t port) {
  UdpEndpoint out;
  out.port = port;
  if (::inet_pton(AF_INET, ip.c_str(), out.ip.data() + kMapped.size()) == 1) {
    std::copy(kMapped.begin(), kMapped.end(), out.ip.begin());
    return out;
  }
  if (::inet_pton(AF_INET6, ip.c_str(), out.ip.data()) == 1) return out;
  return fail(Errc::invalid_argument, "underlay address \"{}\": must be a numeric IPv4 or IPv6 address",
              ip.substr(0, 64));
}

bool is_ipv4(const UdpEndpoint& endpoint) { return std::equal(kMapped.begin(), kMapped.end(), endpoint.ip.begin()); }

std::string ip_to_string(const UdpEndpoint& endpoint) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool v4 = is_ipv4(endpoint);
  const auto* address = endpoint.ip.data() + (v4 ? kMapped.size() : 0);
  if (!::inet_ntop(v4 ? AF_INET : AF_INET6, address, text.data(), text.size())) return "?";
  return text.data();
}

std::string to_string(const UdpEndpoint& endpoint) {
  return is_ipv4(endpoint) ? fmt::format("{}:{}", ip_to_string(endpoint), endpoint.port)
                           : fmt::format("[{}]:{}", ip_to_string(endpoint), endpoint.port);
}

}  // namespace godwit::sys
