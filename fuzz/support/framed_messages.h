// What a peer sends before its connection's bytes: frames of JSON, and what is answered to a Hello.
// Input: which message (one byte), the length of the pieces in which it comes (one byte), and the frames.
#pragma once

#include "base/assert.h"
#include "migrate/channel.h"
#include "support/byte_stream.h"
#include "support/input.h"
#include "support/run_dry.h"

namespace godwit::fuzz {

// What was parsed is written and parsed as the same once more; what was refused, with one of two reasons.
template <class Message>
void same_again(const Result<Message>& message, Result<Message> (*parse)(std::string_view),
                Errc other_reason = Errc::protocol) {
  if (!message) {
    GODWIT_ASSERT(message.error().code == Errc::protocol || message.error().code == other_reason);
    return;
  }
  const auto written = wire::encode(*message);
  const auto again = parse(written);
  GODWIT_ASSERT(again && wire::encode(*again) == written);
}

template <class Each>
sys::Task<int> read_frames(sys::Stream& stream, std::size_t limit_bytes, const Each& each) {
  for (int frames = 0;; ++frames) {
    const auto json = co_await migrate::read_packed(stream, limit_bytes);
    if (!json) co_return frames;
    GODWIT_ASSERT(!json->empty() && json->size() <= limit_bytes);
    each(*json);
  }
}

// `limit_bytes(kind)`, `each(kind, json)` for every frame; `introduce(stream)`, a task, for the kind 'i'.
template <class Limit, class Each, class Introduce>
int run_framed(const std::uint8_t* data, std::size_t size, const Limit& limit_bytes, const Each& each,
               const Introduce& introduce) {
  Input input(data, size);
  const auto kind = static_cast<char>(input.byte());
  const std::size_t piece = 1U + input.byte();
  ByteStream stream(input.bytes(), piece);
  if (kind == 'i') {
    static_cast<void>(run_dry(introduce(stream)));
    return 0;
  }
  const auto of_this_kind = [&](std::string_view json) { each(kind, json); };
  static_cast<void>(run_dry(read_frames(stream, limit_bytes(kind), of_this_kind)));
  return 0;
}

}  // namespace godwit::fuzz
