// mac1, mac2 and cookies of handshake messages (WireGuard, section 5.4.4 and 5.4.7): that who sends one knows our key,
// and, while there are too many, that it is reached at the address that it sends from.
#pragma once

#include "crypto/aead.h"
#include "crypto/blake2s.h"
#include "overlay/session_messages.h"

namespace godwit::overlay {

using Cookie = crypto::Blake2sMac;

// Both keys that are derived of the public key of whom a message is for.
struct MacKeys {
  explicit MacKeys(const crypto::PublicKey& receiver);
  crypto::Blake2sDigest mac1;
  crypto::Blake2sDigest cookie;
};

// Of the receiving side: what was written for us, and the cookies that we give. Keeps nothing of anybody.
class CookieOffice {
 public:
  CookieOffice(const crypto::PublicKey& own, sys::Random& random) : keys_(own), random_(random) {}

  // `message` is an initiation or response, whole.
  [[nodiscard]] bool has_mac1(ByteView message) const;
  [[nodiscard]] bool has_mac2(TimePoint now, const sys::UdpEndpoint& from, ByteView message);
  // The answer to `message`, of `sender`, that tells who reads it at `from` its cookie.
  [[nodiscard]] ByteVector reply(TimePoint now, const sys::UdpEndpoint& from, Profile profile, std::uint32_t sender,
                                 ByteView message);

 private:
  Cookie cookie_of(TimePoint now, const sys::UdpEndpoint& from);

  MacKeys keys_;
  sys::Random& random_;
  std::array<std::byte, 32> secret_{};
  std::optional<TimePoint> drawn_;
};

// Of the sending side: the cookie of one peer.
class CookieJar {
 public:
  explicit CookieJar(const crypto::PublicKey& peer) : keys_(peer) {}

  // Fills mac1 and mac2, the last 32 bytes.
  void stamp(TimePoint now, ByteSpan message);
  // False: not an answer to the last message that was stamped.
  [[nodiscard]] bool take(TimePoint now, ByteView reply);

 private:
  MacKeys keys_;
  std::optional<crypto::Blake2sMac> last_mac1_;
  Cookie cookie_{};
  std::optional<TimePoint> taken_;
};

}  // namespace godwit::overlay
