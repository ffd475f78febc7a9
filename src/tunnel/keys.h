// Who the ends of a tunnel are to each other: keys for a few hosts under a CA that signs these and no other, ever: its
// key is gone when they are made. One file a host, docs/protocols/tunnel.md has its format.
#pragma once

#include "crypto/identity.h"
#include "sys/runtime.h"

#include <string>
#include <vector>

namespace godwit::tunnel {

inline constexpr std::string_view kDomain = "tunnel";  // hosts are NAME.tunnel.godwit
inline constexpr std::size_t kKeysLimit_bytes = 3 * crypto::kPemBytes;

// What one host has. All PEM.
struct Keys {
  std::string key_pem;
  std::string certificate_pem;
  std::string ca_pem;
};

struct HostKeys {
  std::string host;
  std::string text;  // of its file: a secret
};

[[nodiscard]] std::string peer_name(std::string_view host);

// `hosts`: DNS labels, two or more, all different. Errors: invalid_argument.
[[nodiscard]] Result<std::vector<HostKeys>> make_keys(const std::vector<std::string>& hosts, crypto::Validity validity,
                                                      sys::Random& random);
// Errors: invalid_argument.
[[nodiscard]] Result<Keys> parse_keys(std::string_view text);

}  // namespace godwit::tunnel
