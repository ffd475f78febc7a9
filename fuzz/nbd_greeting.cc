// The handshake of an NBD server, which is changed on its way.
// Input: the length of the pieces in which it comes (one byte), and the bytes.
#include "wire/nbd_greeting.h"

#include "base/assert.h"
#include "support/input.h"

namespace {

using namespace godwit;

constexpr std::byte kTakenOut{0x0c};  // NBD_FLAG_SEND_FLUSH, NBD_FLAG_SEND_FUA

ByteVector passed(ByteView bytes, std::size_t piece) {
  ByteVector out(bytes.begin(), bytes.end());
  wire::NbdGreeting greeting;
  for (std::size_t at = 0; at < out.size(); at += piece) {
    greeting.pass(ByteSpan(out).subspan(at, std::min(piece, out.size() - at)));
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::size_t piece = 1U + input.byte();
  const auto bytes = input.bytes();
  const auto whole = passed(bytes, bytes.size() + 1);
  GODWIT_ASSERT(passed(bytes, piece) == whole);
  // Nothing but the two flags is touched, and they are only taken away.
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    GODWIT_ASSERT(whole[i] == bytes[i] || (whole[i] | kTakenOut) == (bytes[i] | kTakenOut));
    GODWIT_ASSERT((whole[i] & ~bytes[i]) == std::byte{0});
  }
  return 0;
}
