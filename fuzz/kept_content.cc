// What an agent finds on its disk of an earlier one: the head of a content store, a segment's index, rapports.
// Input: which of them (one byte), and the file.
#include "base/assert.h"
#include "content/page_index.h"
#include "migrate/rapport_file.h"
#include "support/input.h"

namespace {

using namespace godwit;

constexpr std::uint64_t kSegment_pages = 65'536;

void take_index(ByteView file) {
  const auto index = content::parse_segment_index(file, 0, kSegment_pages);
  if (!index) return;
  std::uint64_t after = 0;
  for (const auto& group : index->groups) {
    GODWIT_ASSERT(group.number >= after && group.number < kSegment_pages / content::kGroup_pages);
    after = group.number + 1;
  }
}

// With a check that holds: what is behind it is the parser's work.
void take_rapports(ByteView file) {
  ByteVector checked(file.begin(), file.end());
  append_be64(checked, content::fingerprint_of(checked));
  const auto rapports = migrate::parse_rapports(checked);
  if (!rapports) return;
  const auto written = migrate::pack(*rapports);
  const auto again = migrate::parse_rapports(written);
  GODWIT_ASSERT(again && migrate::pack(*again) == written);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto kind = static_cast<char>(input.byte());
  if (kind == 'h') static_cast<void>(content::parse_store_head(input.bytes()));
  if (kind == 'i') take_index(input.bytes());
  if (kind == 'r') take_rapports(input.bytes());
  return 0;
}
