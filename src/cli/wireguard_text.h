// A network's leaves as people and wg-quick(8) read them. Pure.
#pragma once

#include "crypto/x25519.h"
#include "wire/leaf.h"

#include <string>

namespace godwit::cli {

// As `wg` writes keys: base64. Errors: invalid_argument.
[[nodiscard]] std::string wireguard_key_text(ByteView key);
[[nodiscard]] Result<crypto::PublicKey> parse_wireguard_key(std::string_view text);

// The configuration of a leaf that a host serves. `private_key` as wireguard_key_text() has it; empty: its owner has
// it.
[[nodiscard]] std::string wg_quick_text(const wire::Network& network, const wire::LeafView& leaf,
                                        const std::string& private_key);
[[nodiscard]] std::string leaves_text(const wire::LeafList& list);

}  // namespace godwit::cli
