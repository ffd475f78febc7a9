#include "overlay/cookies.h"

#include "crypto/digest.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

constexpr std::size_t kMac = 16;

ByteView before_mac1(ByteView message) { return message.first(message.size() - kMacs); }
ByteView before_mac2(ByteView message) { return message.first(message.size() - kMac); }
ByteView mac1_of(ByteView message) { return message.last(kMacs).first(kMac); }
ByteView mac2_of(ByteView message) { return message.last(kMac); }

bool is_fresh(TimePoint now, const std::optional<TimePoint>& since) { return since && now - *since < kCookieLife; }

}  // namespace

MacKeys::MacKeys(const crypto::PublicKey& receiver)
    : mac1(crypto::blake2s({as_bytes("mac1----"), receiver})),
      cookie(crypto::blake2s({as_bytes("cookie--"), receiver})) {}

bool CookieOffice::has_mac1(ByteView message) const {
  return crypto::equal_secrets(crypto::blake2s_mac(keys_.mac1, {before_mac1(message)}), mac1_of(message));
}

bool CookieOffice::has_mac2(TimePoint now, const sys::UdpEndpoint& from, ByteView message) {
  if (!is_fresh(now, drawn_)) return false;  // nobody can have a cookie
  const auto mac = crypto::blake2s_mac(cookie_of(now, from), {before_mac2(message)});
  return crypto::equal_secrets(mac, mac2_of(message));
}

ByteVector CookieOffice::reply(TimePoint now, const sys::UdpEndpoint& from, Profile profile, std::uint32_t sender,
                               ByteView message) {
  ByteVector out(cookie_at::size);
  const ByteSpan bytes(out);
  out[0] = type_byte(profile, MessageKind::cookie);
  store_index(profile, bytes.subspan(cookie_at::receiver), sender);
  crypto::LongNonce nonce;
  random_.fill(nonce);
  std::ranges::copy(nonce, out.begin() + cookie_at::nonce);
  std::ranges::copy(cookie_of(now, from), out.begin() + cookie_at::cookie);
  crypto::seal_xchacha(keys_.cookie, nonce, mac1_of(message), bytes.subspan(cookie_at::cookie, sizeof(Cookie)),
                       bytes.last<kSealTag>());
  return out;
}

Cookie CookieOffice::cookie_of(TimePoint now, const sys::UdpEndpoint& from) {
  if (!is_fresh(now, drawn_)) {
    random_.fill(secret_);
    drawn_ = now;
  }
  std::array<std::byte, 2> port;
  store_be16(port, from.port);
  return crypto::blake2s_mac(secret_, {from.ip, port});
}

void CookieJar::stamp(TimePoint now, ByteSpan message) {
  const auto mac1 = crypto::blake2s_mac(keys_.mac1, {before_mac1(message)});
  std::ranges::copy(mac1, message.last(kMacs).begin());
  last_mac1_ = mac1;
  crypto::Blake2sMac mac2{};
  if (is_fresh(now, taken_)) mac2 = crypto::blake2s_mac(cookie_, {before_mac2(message)});
  std::ranges::copy(mac2, message.last(kMac).begin());
}

bool CookieJar::take(TimePoint now, ByteView reply) {
  if (!last_mac1_) return false;
  crypto::LongNonce nonce;
  std::ranges::copy(reply.subspan(cookie_at::nonce, nonce.size()), nonce.begin());
  Cookie cookie;
  std::ranges::copy(reply.subspan(cookie_at::cookie, cookie.size()), cookie.begin());
  if (!crypto::open_xchacha(keys_.cookie, nonce, *last_mac1_, cookie, reply.last<kSealTag>())) return false;
  cookie_ = cookie;
  taken_ = now;
  last_mac1_.reset();  // one answer is enough
  return true;
}

}  // namespace godwit::overlay
