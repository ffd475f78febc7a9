// Ed25519 keys as OpenSSH keeps them. Format: openssh-portable PROTOCOL.key; RFC 8709 for the public key.
#pragma once

#include "base/result.h"
#include "sys/clock.h"

#include <string>

namespace godwit::sky {

struct SshKey {
  std::string private_key;  // "-----BEGIN OPENSSH PRIVATE KEY-----…", not encrypted. A secret.
  std::string public_key;   // "ssh-ed25519 AAAA… comment", one line
};

[[nodiscard]] Result<SshKey> draw_ssh_key(sys::Random& random, std::string_view comment);

}  // namespace godwit::sky
