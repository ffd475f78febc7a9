#include "overlay/host_key.h"

#include <algorithm>

namespace godwit::overlay {

Result<crypto::KeyPair> load_or_make_key(sys::Files& files, sys::Random& random, const std::string& path) {
  if (files.exists(path)) {
    auto text = files.read(path, crypto::Secret::kSize + 1);
    if (!text) return fail(text, "this host's own key");
    if (text->size() != crypto::Secret::kSize) {
      return fail(Errc::invalid_argument, "{}: must have {} bytes; remove it to get a new key", path,
                  crypto::Secret::kSize);
    }
    crypto::Secret secret;
    std::ranges::copy(as_bytes(*text), secret.writable().begin());
    crypto::wipe({reinterpret_cast<std::byte*>(text->data()), text->size()});
    return crypto::KeyPair::of(secret);
  }
  auto made = crypto::KeyPair::generate(random);
  const auto written = files.write_atomic(path, as_text(made.secret().bytes()), 0600);
  if (!written) return fail(written, "keep this host's own key");
  return made;
}

}  // namespace godwit::overlay
