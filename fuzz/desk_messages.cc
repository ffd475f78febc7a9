// What the server of a disk and the agent say to each other: framing, every message, and what the server makes of it.
// Input: the length of the pieces in which it comes (one byte), and the frames.
#include "image/desk_messages.h"

#include "base/assert.h"
#include "image/disk_pieces.h"
#include "support/byte_stream.h"
#include "support/input.h"
#include "support/run_dry.h"

#include <algorithm>

namespace {

using namespace godwit;
using namespace godwit::image;

constexpr std::uint64_t kDisk_bytes = 300 * kPiece_bytes;

template <class Message>
void same_again(ByteView frame, const Result<Message>& message) {
  if (!message) {
    GODWIT_ASSERT(message.error().code == Errc::protocol || message.error().code == Errc::unsupported);
    return;
  }
  const auto written = desk::pack(*message);
  GODWIT_ASSERT(std::equal(written.begin() + 4, written.end(), frame.begin(), frame.end()));
}

void read_one(DiskPieces& pieces, ByteView frame) {
  // Whatever it says that it is, each reader may be given it.
  same_again(frame, desk::parse_hello(frame));
  same_again(frame, desk::parse_welcome(frame));
  same_again(frame, desk::parse_want(frame));
  same_again(frame, desk::parse_touched(frame));
  const auto map = desk::parse_map(frame);
  same_again(frame, map);
  if (map) static_cast<void>(pieces.take(*map));
  const auto here = desk::parse_here(frame);
  same_again(frame, here);
  if (here) static_cast<void>(pieces.take(*here));
  static_cast<void>(desk::type_of(frame));
}

sys::Task<int> read_frames(sys::Stream& stream) {
  DiskPieces pieces(kDisk_bytes);
  pieces.touch({7, 9});
  for (int frames = 0;; ++frames) {
    const auto frame = co_await desk::read_frame(stream, desk::kFrameLimit_bytes);
    if (!frame) break;
    read_one(pieces, *frame);
    // What is here is not asked for.
    pieces.begin_saying();
    const auto want = pieces.next_want();
    GODWIT_ASSERT(pieces.has({7, 9}) == !want);
  }
  pieces.leave({7, 9});
  co_return 0;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::size_t piece = 1U + input.byte();
  fuzz::ByteStream stream(input.bytes(), piece);
  fuzz::run_dry(read_frames(stream));
  return 0;
}
