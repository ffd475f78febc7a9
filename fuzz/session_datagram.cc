// Two hosts with a session between them, of either profile, that hear datagrams from anywhere. Input: the profile ('w':
// WireGuard, else native), then datagrams, each: how (one byte), length (two bytes, big-endian), bytes.
//   'r' as it is, 'm' with a right mac1 put behind, so that it is read as far as its keys,
//   's' is what the one host seals and the other is to open, 'x' the same with its bytes over what was sealed,
//   'd' delivers what both have to say; all else: the time goes on by so many ms
#include "base/assert.h"
#include "overlay/session_test_host.h"
#include "support/input.h"

namespace {

using namespace godwit;
using namespace godwit::overlay;
using overlay::testing::SessionHost;

constexpr int kMostDatagrams = 48;
constexpr std::size_t kMostPayload = 2000;

struct Pair {
  explicit Pair(Profile profile) : to_b(a.sessions.add(testing::spec_of(2, profile))) {
    to_a = b.sessions.add(testing::spec_of(1, profile));
    // Asked, and of no opinion.
    b.sessions.set_introduction([](TimePoint, const crypto::PublicKey&, ByteView, PeerId known) { return known; });
    a.sessions.begin(now, to_b);
    deliver();
  }

  void deliver() {
    for (int i = 0; i < 8 && (a.sessions.has_out() || b.sessions.has_out()); ++i) {
      for (auto& each : a.sessions.take_out()) static_cast<void>(b.open(now, a, each.bytes));
      for (auto& each : b.sessions.take_out()) static_cast<void>(a.open(now, b, each.bytes));
    }
  }

  SessionHost a{1, 11};
  SessionHost b{2, 12};
  TimePoint now{Seconds{1000}};
  PeerId to_b;
  PeerId to_a{kNobody};
};

// Who has no key is nobody, whatever it sends.
void strange(Pair& pair, ByteView bytes) {
  ByteVector copy(bytes.begin(), bytes.end());
  const auto opened = pair.b.sessions.on_datagram(pair.now, testing::endpoint_of(9), copy);
  GODWIT_ASSERT(opened.peer == kNobody && opened.payload.empty());
  for (const auto& each : pair.b.sessions.take_out()) {
    GODWIT_ASSERT(each.peer != kNobody || each.bytes.size() < bytes.size());  // no amplifier
  }
}

ByteVector with_mac1(Pair& pair, ByteView bytes) {
  ByteVector out(bytes.begin(), bytes.end());
  out.resize(out.size() + kMacs);
  CookieJar(pair.b.sessions.public_key()).stamp(pair.now, out);
  return out;
}

void sealed(Pair& pair, ByteView payload, ByteView over) {
  auto datagram = pair.a.seal(pair.now, pair.to_b, as_text(payload.first(std::min(payload.size(), kMostPayload))));
  if (datagram.empty()) return pair.deliver();
  const auto honest = datagram;
  for (std::size_t i = 0; i < over.size(); ++i) datagram[i % datagram.size()] ^= over[i];
  const bool is_honest = datagram == honest;
  const auto opened = pair.b.open(pair.now, pair.a, datagram);
  GODWIT_ASSERT((opened.peer == pair.to_a) == is_honest);
  if (!is_honest) return;
  GODWIT_ASSERT(std::ranges::equal(opened.payload, payload.first(opened.payload.size())));
  auto again = honest;
  GODWIT_ASSERT(pair.b.open(pair.now, pair.a, again).why == Refusal::replayed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  Pair pair(input.byte() == 'w' ? Profile::wireguard : Profile::native);
  for (int i = 0; i < kMostDatagrams && !input.empty(); ++i) {
    const auto how = static_cast<char>(input.byte());
    const std::size_t length = static_cast<std::size_t>(input.byte()) << 8U | input.byte();
    if (std::string_view("rmsxd").find(how) == std::string_view::npos) {
      pair.now += Millis{length};
      pair.a.sessions.poll(pair.now);
      pair.b.sessions.poll(pair.now);
      continue;
    }
    const auto bytes = input.take(length);
    if (how == 'd') pair.deliver();
    if (how == 'r') strange(pair, bytes);
    if (how == 'm') strange(pair, with_mac1(pair, bytes));
    if (how == 's') sealed(pair, bytes, {});
    if (how == 'x') sealed(pair, bytes, bytes);
  }
  return 0;
}
