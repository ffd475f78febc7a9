// What hosts and relays say inside their sessions: path messages and relay messages. Input: which (one byte: 'p', 'r',
// or 'm' for a machine that is given them one after the other), and the bytes.
#include "base/assert.h"
#include "overlay/path.h"
#include "overlay/relay_client.h"
#include "support/input.h"

#include <algorithm>

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

void path_message(ByteView bytes) {
  const auto message = overlay::decode_path_message(bytes);
  if (!message) return;
  const auto written = overlay::encode_path_message(*message);
  GODWIT_ASSERT(std::ranges::equal(written, bytes));
}

void relay_message(ByteView bytes) {
  const auto message = overlay::decode_relay_message(bytes);
  if (!message) return;
  GODWIT_ASSERT(std::ranges::equal(overlay::encode_relay_message(*message), bytes));
}

// A peer that is authentic, and hostile.
void machines(fuzz::Input input) {
  Counting random;
  overlay::Paths paths(random);
  overlay::RelayClient client(random, *sys::parse_udp_endpoint("198.51.100.1", 1));
  paths.add(1, {});
  client.want({}, 1, {});
  TimePoint now{Seconds{1}};
  while (!input.empty()) {
    const auto from = *sys::parse_udp_endpoint("203.0.113.1", static_cast<std::uint16_t>(1 + input.byte()));
    now += Millis{input.byte()} * (input.byte() % 2 == 0 ? 1 : 1000);
    const auto bytes = input.take(input.byte());
    paths.on_message(now, 1, from, bytes);
    paths.on_data(now, 1, from, true);
    paths.poll(now);
    GODWIT_ASSERT(paths.take_out().size() <= 3 * overlay::PathPeer::kMostWays);
    GODWIT_ASSERT(paths.find(1)->ways().size() <= overlay::PathPeer::kMostWays);
    client.on_message(now, bytes);
    client.poll(now);
    GODWIT_ASSERT(client.take_out().size() <= 4 && client.take_changes().size() <= 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  switch (input.byte()) {
    case 'p': path_message(input.bytes()); break;
    case 'r': relay_message(input.bytes()); break;
    default: machines(input);
  }
  return 0;
}
