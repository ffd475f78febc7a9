// What QEMU sends to migrate, on any channel: it is told by its first bytes.
// Input: the length of the pieces in which it comes (two bytes, big-endian), and the bytes.
#include "base/assert.h"
#include "support/input.h"
#include "support/stretch_rules.h"
#include "wire/memory_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  fuzz::Input input(data, size);
  const std::size_t piece = static_cast<std::size_t>(input.byte()) << 8U | input.byte();
  const auto whole = wire::read_memory();
  const auto cut = wire::read_memory();
  const auto reading = testing::read_whole(*whole, input.bytes());
  const auto in_pieces = testing::read_in_pieces(*cut, input.bytes(), [&] { return piece; });
  // Every byte is covered, at once, and where the pages are doesn't depend on the pieces.
  GODWIT_ASSERT(reading.keeps_rules && in_pieces.keeps_rules);
  GODWIT_ASSERT(testing::pages_of(in_pieces) == testing::pages_of(reading));
  return 0;
}
