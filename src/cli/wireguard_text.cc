#include "cli/wireguard_text.h"

#include "cli/table.h"
#include "cli/text.h"

#include <algorithm>

namespace godwit::cli {
namespace {

constexpr unsigned kMtu = 1420;             // what the switch lets through to a leaf
constexpr unsigned kKeepaliveSeconds = 25;  // below the life of a NAT's mapping: who is behind one is reached
constexpr std::size_t kKeyText = 44;

void exchange(std::string& text, char from, char to) { std::ranges::replace(text, from, to); }

// Keys come from sky in hex.
std::string key_of_hex(const std::string& hex) { return wireguard_key_text(from_hex(hex).value_or(ByteVector{})); }

}  // namespace

std::string wireguard_key_text(ByteView key) {
  auto text = to_base64url(key);
  exchange(text, '-', '+');
  exchange(text, '_', '/');
  return text + "=";  // of 32 bytes
}

Result<crypto::PublicKey> parse_wireguard_key(std::string_view text) {
  const auto bad = [] {
    return fail(Errc::invalid_argument, "--key: must be a WireGuard's public key, as `wg pubkey` prints it");
  };
  if (text.size() != kKeyText || text.back() != '=' || text.find_first_of("-_") != std::string_view::npos) return bad();
  std::string url(text.substr(0, kKeyText - 1));
  exchange(url, '+', '-');
  exchange(url, '/', '_');
  const auto bytes = from_base64url(url);
  crypto::PublicKey out{};
  if (!bytes || bytes->size() != out.size()) return bad();
  std::ranges::copy(*bytes, out.begin());
  return out;
}

std::string wg_quick_text(const wire::Network& network, const wire::LeafView& leaf, const std::string& private_key) {
  std::string out = fmt::format("# {}.{}: member of network {}, served by host {} of {}\n[Interface]\n", leaf.name,
                                network.domain, network.name, leaf.host, leaf.cloud);
  if (private_key.empty()) {
    out += fmt::format("# PrivateKey = the one of {}\n", key_of_hex(leaf.key));
  } else {
    out += fmt::format("PrivateKey = {}\n", private_key);
  }
  const bool ipv6 = !leaf.ipv6.empty();
  out += fmt::format("Address = {}/32{}\n", leaf.ip, ipv6 ? fmt::format(", {}/128", leaf.ipv6) : "");
  out += fmt::format("DNS = {}, {}\nMTU = {}\n\n[Peer]\n", network.gateway, network.domain, kMtu);
  out += fmt::format("PublicKey = {}\n", key_of_hex(leaf.host_key));
  out += fmt::format("AllowedIPs = {}{}\n", network.cidr, ipv6 ? ", " + network.cidr6 : "");
  out += fmt::format("Endpoint = {}\nPersistentKeepalive = {}\n", leaf.endpoint, kKeepaliveSeconds);
  return out;
}

std::string leaves_text(const wire::LeafList& list) {
  if (list.leaves.empty()) return "Nobody's WireGuard has joined it.\n";
  Table table({{"NAME"}, {"IP"}, {"IPV6"}, {"HOST"}, {"ENDPOINT"}, {"KEY"}});
  std::string problems;
  for (const auto& leaf : list.leaves) {
    table.add({leaf.name, leaf.ip, leaf.ipv6, leaf.host.empty() ? "-" : leaf.cloud + "/" + leaf.host,
               leaf.endpoint.empty() ? "-" : leaf.endpoint, key_of_hex(leaf.key)});
    if (!leaf.problem.empty()) problems += fmt::format("! {}: {}\n", printable(leaf.name), printable(leaf.problem));
  }
  return table.text() + problems;
}

}  // namespace godwit::cli
