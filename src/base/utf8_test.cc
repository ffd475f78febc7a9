#include "base/utf8.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

TEST(Utf8, ValidTextStaysAsItIs) {
  for (const std::string text : {"", "plain", "gr\xc3\xbc\xc3\x9f", "\xe2\x82\xac", "\xf0\x9f\x90\xa6"}) {
    EXPECT_EQ(to_utf8(text), text);
  }
  EXPECT_EQ(first_code_point("\xe2\x82\xac!").point, 0x20acU);
  EXPECT_EQ(first_code_point("\xe2\x82\xac!").bytes, 3U);
}

TEST(Utf8, EveryByteThatIsNoPartOfItIsReplaced) {
  EXPECT_EQ(to_utf8("a\xff"
                    "b"),
            "a\xef\xbf\xbd"
            "b");
  EXPECT_EQ(to_utf8("\xe2\x82"), "\xef\xbf\xbd\xef\xbf\xbd");  // cut short
  EXPECT_EQ(to_utf8("\xc0\xaf"), "\xef\xbf\xbd\xef\xbf\xbd");  // an overlong slash
  EXPECT_EQ(first_code_point("\xed\xa0\x80").bytes, 0U);       // half of a surrogate pair
  EXPECT_EQ(first_code_point("\xf4\x90\x80\x80").bytes, 0U);   // beyond U+10FFFF
}

}  // namespace
}  // namespace godwit
