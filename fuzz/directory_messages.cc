// What a sibling says on a connection of the content directory: framing and every message. Input: the length of the
// pieces in which it comes (one byte), and the frames.
#include "base/assert.h"
#include "siblings/messages.h"
#include "support/byte_stream.h"
#include "support/input.h"
#include "support/run_dry.h"

namespace {

using namespace godwit;
using namespace godwit::siblings;

template <class Message>
void same_again(ByteView frame, const Result<Message>& message) {
  if (!message) {
    GODWIT_ASSERT(message.error().code == Errc::protocol || message.error().code == Errc::unsupported);
    return;
  }
  const auto written = pack(*message);
  GODWIT_ASSERT(std::equal(written.begin() + 4, written.end(), frame.begin(), frame.end()));
}

void read_one(ByteView frame) {
  // Whatever it says that it is, each reader may be given it.
  same_again(frame, parse_hello(frame));
  same_again(frame, parse_welcome(frame));
  same_again(frame, parse_tell(frame));
  same_again(frame, parse_withdraw(frame));
  same_again(frame, parse_lookup(frame));
  same_again(frame, parse_found(frame));
  same_again(frame, parse_fetch(frame));
  same_again(frame, parse_pages(frame));
  same_again(frame, parse_tell_alike(frame));
  same_again(frame, parse_seek(frame));
  same_again(frame, parse_fetch_alike(frame));
  static_cast<void>(type_of(frame));
}

sys::Task<int> read_frames(sys::Stream& stream) {
  for (int frames = 0;; ++frames) {
    const auto frame = co_await read_frame(stream, kAskingLimit_bytes);
    if (!frame) co_return frames;
    read_one(*frame);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::size_t piece = 1U + input.byte();
  fuzz::ByteStream stream(input.bytes(), piece);
  fuzz::run_dry(read_frames(stream));
  return 0;
}
