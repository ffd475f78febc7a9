// What QEMU, or a guest that has broken out of it, says to the server of its disk.
// Input: the length of the pieces in which it comes (two bytes, big-endian), and the bytes.
#include "wire/nbd_server.h"

#include "base/assert.h"
#include "support/input.h"

#include <vector>

namespace {

using namespace godwit;

constexpr std::uint64_t kDisk_bytes = 10UL << 20U;

struct Heard {
  std::vector<wire::NbdRead> reads;
  ByteVector answers;
  Errc ended{};

  bool operator==(const Heard&) const = default;
};

Heard hear(ByteView bytes, std::size_t piece) {
  wire::NbdServer server("base", kDisk_bytes);
  Heard heard;
  while (!bytes.empty()) {
    auto feed = bytes.first(std::min(std::max<std::size_t>(piece, 1), bytes.size()));
    bytes = bytes.subspan(feed.size());
    while (!feed.empty()) {
      const auto read = server.next(feed);
      if (!read) {
        heard.ended = read.error().code;
        GODWIT_ASSERT(heard.ended == Errc::closed || heard.ended == Errc::protocol);
      } else if (*read) {
        const auto& wanted = **read;
        GODWIT_ASSERT(wanted.length > 0 && wanted.length <= wire::kNbdRead_bytes);
        GODWIT_ASSERT(wanted.offset <= kDisk_bytes && wanted.length <= kDisk_bytes - wanted.offset);
        heard.reads.push_back(wanted);
      }
      append(heard.answers, server.take_answers());
      if (!read) return heard;
    }
  }
  return heard;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::size_t piece = static_cast<std::size_t>(input.byte()) << 8U | input.byte();
  GODWIT_ASSERT(hear(input.bytes(), piece) == hear(input.bytes(), size));
  return 0;
}
