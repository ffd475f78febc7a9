// A relay, to which anybody may send. Input: datagrams, each from an endpoint (one byte), after some time (one byte),
// with a length (two bytes).
#include "overlay/relay.h"

#include "base/assert.h"
#include "support/input.h"

namespace {

using namespace godwit;

class Counting final : public sys::Random {
 public:
  void fill(ByteSpan out) override {
    for (auto& each : out) each = static_cast<std::byte>(++last_);
  }

 private:
  unsigned last_{0};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto ciphers = crypto::Ciphers::fastest();
  fuzz::Input input(data, size);
  Counting random;
  overlay::Relay relay(
      crypto::KeyPair::generate(random), random, [] { return WallTime{}; }, ciphers, {},
      [](const crypto::PublicKey&, ByteView) { return true; });
  TimePoint now{Seconds{1}};
  overlay::RelayOut out;
  while (!input.empty()) {
    const auto from = *sys::parse_udp_endpoint("203.0.113.1", static_cast<std::uint16_t>(1 + input.byte()));
    now += Millis{input.byte()};
    const auto length = std::size_t{input.byte()} << 8U | input.byte();
    const auto taken = input.take(length);
    ByteVector datagram(taken.begin(), taken.end());
    relay.on_datagram(now, from, datagram, out);
    std::size_t answered = 0;
    for (const auto& each : out.sends) answered += each.bytes.size();
    GODWIT_ASSERT(answered <= datagram.size());  // nobody is made to send more than he was sent
    out.clear();
    relay.poll(now, out);
    out.clear();
  }
  return 0;
}
