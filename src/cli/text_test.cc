#include "cli/text.h"

#include "cli/table.h"

#include <gtest/gtest.h>

namespace godwit::cli {
namespace {

TEST(Text, WidthIsWhatATerminalShows) {
  EXPECT_EQ(display_width("demo"), 4U);
  EXPECT_EQ(display_width("zw\xc3\xb6lf"), 5U);
  EXPECT_EQ(display_width("e\xcc\x81"), 1U);         // e and a combining accent
  EXPECT_EQ(display_width("\xe9\x9b\xb2"), 2U);      // a CJK cloud
  EXPECT_EQ(display_width("\xf0\x9f\x90\xa6"), 2U);  // a bird
  EXPECT_EQ(cut_to("zw\xc3\xb6lfmal", 5), "zw\xc3\xb6l…");
  EXPECT_EQ(cut_to("\xe9\x9b\xb2\xe9\x9b\xb2", 3), "\xe9\x9b\xb2…");
  EXPECT_EQ(cut_to("demo", 4), "demo");
  EXPECT_EQ(pad_left("\xe9\x9b\xb2", 4), "  \xe9\x9b\xb2");
}

TEST(Text, NothingSteersTheTerminal) {
  EXPECT_EQ(printable("a\x1b[2Jb\nc\rd\x7f"), "a?[2Jb?c?d?");
  EXPECT_EQ(printable("\xff\xfe ok"), "?? ok");
  EXPECT_EQ(printable("\xc0\xaf"), "??");       // overlong
  EXPECT_EQ(printable("\xed\xa0\x80"), "???");  // a surrogate
  EXPECT_EQ(printable("\xe2\x80\xae"
                      "evil"),
            "?evil");  // right-to-left override
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "?31m");  // CSI as one C1 character
  EXPECT_EQ(printable("zw\xc3\xb6lf"), "zw\xc3\xb6lf");
}

TEST(Text, NumbersAsPeopleReadThem) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(1536), "1.5 KiB");
  EXPECT_EQ(bytes_text(std::uint64_t{512} << 20U), "512 MiB");
  EXPECT_EQ(duration_text(0.12), "120 ms");
  EXPECT_EQ(duration_text(12.34), "12.3 s");
  EXPECT_EQ(duration_text(250), "4 min 10 s");
  EXPECT_EQ(duration_text(11'100), "3 h 5 min");
  EXPECT_EQ(age_text(0, WallTime{}), "-");
  EXPECT_EQ(age_text(1'000, WallTime{Seconds{181}}), "3 min");
  EXPECT_EQ(age_text(10'000, WallTime{Seconds{1}}), "0 s");  // clocks differ
  EXPECT_EQ(bar_text(0.5, 12), "[#####-----]");
  EXPECT_EQ(bar_text(7, 12), "[##########]");
}

TEST(Table, AlignsWhateverTheLanguage) {
  Table table({{"NAME"}, {"SIZE", Align::right}, {"NOTE"}});
  table.add({"zw\xc3\xb6lf", "12", "x"});
  table.add({"\xe9\x9b\xb2", "1024"});
  table.add({"a\nb", "", "y"});
  EXPECT_EQ(table.text(),
            "NAME   SIZE  NOTE\n"
            "zw\xc3\xb6lf    12  x\n"
            "\xe9\x9b\xb2     1024  -\n"
            "a?b       -  y\n");
}

}  // namespace
}  // namespace godwit::cli
