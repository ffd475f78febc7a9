// A key pair that is made once and kept beside its owner's state, never told to anybody: a switch's, a relay's.
#pragma once

#include "crypto/x25519.h"
#include "sys/files.h"

#include <string>

namespace godwit::overlay {

// From the file at `path` (32 bytes, 0600), which is made when there is none; its directory must be there.
// Errors: io, invalid_argument.
[[nodiscard]] Result<crypto::KeyPair> load_or_make_key(sys::Files& files, sys::Random& random, const std::string& path);

}  // namespace godwit::overlay
