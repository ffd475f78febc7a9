#include "os/tls_records.h"

#include <gtest/gtest.h>

namespace godwit::os {
namespace {

ByteVector record(std::size_t body) {
  ByteVector bytes(5 + body);
  bytes[3] = static_cast<std::byte>(body >> 8U);
  bytes[4] = static_cast<std::byte>(body & 0xFFU);
  return bytes;
}

TEST(TlsRecords, WantTheRestOfARecordHoweverItsBytesCame) {
  auto bytes = record(1000);
  append(bytes, record(3));
  for (const std::size_t step : {1, 2, 3, 7, 999, 1004, 1005, 1006, 2000}) {
    TlsRecords records;
    std::size_t passed = 0;
    while (passed < bytes.size()) {
      const auto count = std::min(step, bytes.size() - passed);
      records.pass(ByteView(bytes).subspan(passed, count));
      passed += count;
      std::size_t expected = 1;  // between records any byte is news
      if (passed < 5) expected = 5 - passed;
      if (passed >= 5 && passed < 1005) expected = 1005 - passed;
      if (passed > 1005 && passed < 1010) expected = 1010 - passed;
      if (passed >= 1010 && passed < 1013) expected = 1013 - passed;
      ASSERT_EQ(records.missing(), expected) << "after " << passed << " in steps of " << step;
    }
  }
}

TEST(TlsRecords, AnEmptyRecordLeavesNothingToWaitFor) {
  TlsRecords records;
  records.pass(record(0));
  EXPECT_EQ(records.missing(), 1U);
}

}  // namespace
}  // namespace godwit::os
