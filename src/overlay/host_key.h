// This host's key pair: made by its switch, kept beside its state, never told to anybody.
#pragma once

#include "crypto/x25519.h"
#include "sys/files.h"

#include <string>

namespace godwit::overlay {

// From DIRECTORY/switch.key (32 bytes, 0600), which is made when there is none. Errors: io, invalid_argument.
[[nodiscard]] Result<crypto::KeyPair> load_or_make_key(sys::Files& files, sys::Random& random,
                                                       const std::string& directory);

}  // namespace godwit::overlay
