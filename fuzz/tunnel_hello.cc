// What a tunnel's other end sends before a connection's bytes: framing, Hello and Welcome.
// Input: which message (one byte), the length of the pieces in which it comes (one byte), and the frames.
#include "support/byte_stream.h"
#include "support/input.h"
#include "support/run_dry.h"

#include "tunnel/hello.h"

namespace {

using namespace godwit;

template <class Message>
void same_again(const Result<Message>& message, Result<Message> (*parse)(std::string_view)) {
  if (!message) {
    GODWIT_ASSERT(message.error().code == Errc::protocol || message.error().code == Errc::unsupported);
    return;
  }
  const auto written = wire::encode(*message);
  const auto again = parse(written);
  GODWIT_ASSERT(again && wire::encode(*again) == written);
}

sys::Task<int> read_frames(sys::Stream& stream, char kind) {
  for (int frames = 0;; ++frames) {
    const auto json = co_await migrate::read_packed(stream, tunnel::kFrameLimit_bytes);
    if (!json) co_return frames;
    if (kind == 'h') {
      same_again(tunnel::parse_hello(*json), tunnel::parse_hello);
    } else {
      same_again(tunnel::parse_welcome(*json), tunnel::parse_welcome);
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
    tunnel::Hello hello;
    static_cast<void>(fuzz::run_dry(tunnel::introduce(stream, std::move(hello))));
  } else {
    fuzz::run_dry(read_frames(stream, kind));
  }
  return 0;
}
