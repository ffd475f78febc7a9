// What the other host of a chain says: heads, every message, and what pieces are packed as. Input: frames.
#include "image/chain_messages.h"

#include "base/assert.h"
#include "image/chain_parts.h"
#include "image/piece_press.h"
#include "image/piece_set.h"
#include "support/input.h"

namespace {

using namespace godwit;
using namespace godwit::image::chain;

template <class Message>
void same_again(ByteView body, const Result<Message>& message) {
  if (!message) {
    GODWIT_ASSERT(message.error().code == Errc::protocol || message.error().code == Errc::unsupported);
    return;
  }
  const auto written = pack(*message);
  GODWIT_ASSERT(std::equal(written.begin() + kHead_bytes, written.end(), body.begin(), body.end()));
}

// Nothing here takes time.
class StillClock final : public sys::Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return {}; }
  [[nodiscard]] WallTime wall_now() const override { return {}; }
  [[nodiscard]] sys::Task<void> sleep_until(TimePoint) override { co_return; }
};

void expand(ByteView body) {
  if (!parse_packed(body)) return;
  static StillClock clock;
  static image::PiecePress press(clock);
  const auto piece = press.expand(body.subspan(kPieceHead_bytes - kHead_bytes));
  GODWIT_ASSERT(piece ? piece->size() == image::kPiece_bytes : piece.error().code == Errc::protocol);
}

void read_one(ByteView body) {
  // Whatever it says that it is, each reader may be given it.
  same_again(body, parse_hello(body));
  same_again(body, parse_answer(body));
  same_again(body, parse_list(body));
  same_again(body, parse_news(body));
  same_again(body, parse_progress(body));
  same_again(body, parse_want(body));
  same_again(body, parse_more(body));
  same_again(body, parse_stay(body));
  same_again(body, parse_moved(body));
  same_again(body, parse_pace(body));
  static_cast<void>(parse_piece(body));
  same_again(body, parse_blocks(body));
  expand(body);
  const auto have = parse_have(body);
  same_again(body, have);
  if (!have) return;
  image::PieceSet set(1000);
  set.add_bits(have->first, have->bits);
  GODWIT_ASSERT(set.count() <= set.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  while (input.bytes().size() >= kHead_bytes) {
    const auto head = parse_head(input.take(kHead_bytes));
    if (!head) return 0;
    read_one(input.take(head->body_bytes));
  }
  return 0;
}
