#include "overlay/session_admission.h"

#include "crypto/blake2s.h"

#include <algorithm>

namespace godwit::overlay {

SessionAdmission::SessionAdmission(sys::Random& random) { random.fill(key_); }

bool SessionAdmission::is_under_load(TimePoint now) {
  if (!second_began_ || now - *second_began_ >= Seconds{1}) {
    second_began_ = now;
    heard_ = 0;
    answered_ = 0;
  }
  if (++heard_ > kCalm) loaded_until_ = now + kLoadFor;
  return loaded_until_ && now < *loaded_until_;
}

bool SessionAdmission::take_source(TimePoint now, const sys::UdpEndpoint& from) {
  constexpr Nanos kCost = Nanos(Seconds{1}) / kSourceRate;
  constexpr Nanos kFull = kCost * kSourceBurst;
  if (buckets_.empty()) buckets_.assign(kBuckets, {now, kFull});
  const ByteView source = ByteView(from.ip).first(sys::is_ipv4(from) ? 16 : 8);
  const auto spread = crypto::blake2s_mac(key_, {source});
  auto& bucket = buckets_[load_be32(spread) % kBuckets];
  bucket.credit = std::min(kFull, bucket.credit + (now - bucket.at));
  bucket.at = now;
  if (bucket.credit < kCost) return false;
  bucket.credit -= kCost;
  return true;
}

bool SessionAdmission::take_answer() { return ++answered_ <= kMost; }

}  // namespace godwit::overlay
