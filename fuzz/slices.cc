// Slices of a peer whose session is good and whose mind is not: any bytes, in any order of their counters.
// Input: slices, each: session (one byte), counter (one byte), length (two bytes, big-endian), bytes.
#include "base/assert.h"
#include "overlay/assembler.h"
#include "support/input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  using namespace godwit::overlay;
  fuzz::Input input(data, size);
  JoinBuffers buffers;
  Assembler assembler(buffers);
  std::vector<Record> records;
  TimePoint now{};
  while (!input.empty()) {
    const auto session = static_cast<std::uint32_t>(input.byte() & 1U);
    const std::uint64_t counter = input.byte();
    const std::size_t length = static_cast<std::size_t>(input.byte()) << 8U | input.byte();
    const auto taken = input.take(length);
    ByteVector slice(taken.begin(), taken.end());
    records.clear();
    static_cast<void>(assembler.on_slice(now, session, counter, slice, records));
    for (const auto& each : records) {
      GODWIT_ASSERT(each.payload.size() == each.header.size && each.header.size <= kRecordLimit);
    }
    buffers.end_batch();
    GODWIT_ASSERT(assembler.kept_bytes() <= kMostOpenRecords * kRecordLimit + kMostEarlyBytes + length);
    if (counter == 0) assembler.sweep();
    if (counter == 1) {
      records.clear();
      now += kSlowTime;
      assembler.poll(now, records);
      buffers.end_batch();
    }
  }
  return 0;
}
