// What a migration's peer sends: framing, Hello, Welcome and the frames of the control channel.
// Input: which message (one byte), the length of the pieces in which it comes (one byte), and the frames.
#include "migrate/channel.h"
#include "support/byte_stream.h"
#include "support/input.h"
#include "support/run_dry.h"

namespace {

using namespace godwit;

template <class Message>
void same_again(const Result<Message>& message, Result<Message> (*parse)(std::string_view)) {
  if (!message) {
    GODWIT_ASSERT(message.error().code == Errc::protocol);
    return;
  }
  const auto written = wire::encode(*message);
  const auto again = parse(written);
  GODWIT_ASSERT(again && wire::encode(*again) == written);
}

sys::Task<int> read_frames(sys::Stream& stream, char kind) {
  for (int frames = 0;; ++frames) {
    const auto limit = kind == 'h' ? migrate::kHelloLimit_bytes : migrate::kFrameLimit_bytes;
    const auto json = co_await migrate::read_packed(stream, limit);
    if (!json) co_return frames;
    GODWIT_ASSERT(!json->empty() && json->size() <= limit);
    if (kind == 'h') {
      same_again(migrate::parse_hello(*json), migrate::parse_hello);
    } else if (kind == 'w') {
      same_again(migrate::parse_welcome(*json), migrate::parse_welcome);
    } else {
      const auto frame = migrate::parse_frame(*json);
      if (frame) static_cast<void>(migrate::saying_of(*frame));
      same_again(frame, migrate::parse_frame);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto kind = static_cast<char>(input.byte());
  const std::size_t piece = 1U + input.byte();
  fuzz::ByteStream stream(input.bytes(), piece);
  if (kind == 'i') {
    migrate::Hello hello;
    static_cast<void>(fuzz::run_dry(migrate::introduce(stream, std::move(hello))));
  } else {
    fuzz::run_dry(read_frames(stream, kind));
  }
  return 0;
}
