#include "lab/state.h"

#include "support/temp_directory.h"

#include <gtest/gtest.h>

namespace godwit::lab {
namespace {

State some_state() {
  return {.config = std::string(kDefaultLab),
          .config_source = "x/lab.toml",
          .complete = true,
          .faults = {{.a = "cloud-a", .b = "wan", .cut = true, .round_trip = Millis{3}}},
          .processes = {{"a1", "agent", {"/bin/x", "--y"}, "/log", {42, 4711}}}};
}

TEST(LabState, JsonReadsBackWhatItWrote) {
  EXPECT_EQ(parse_state(to_json(some_state())).value(), some_state());
  for (const char* wrong : {"", "{}", "[]", R"({"config":1})"}) EXPECT_FALSE(parse_state(wrong)) << wrong;
}

TEST(LabState, OfATornJournalTheWholeLinesCount) {
  const Journal journal{"boot-1", {"gw-t-a1", "gw-t-a2"}};
  const std::string text = to_text(journal);
  EXPECT_EQ(parse_journal(text), journal);
  EXPECT_EQ(parse_journal(text.substr(0, text.size() - 1)).netns, std::vector<std::string>{"gw-t-a1"});
  EXPECT_EQ(parse_journal(""), Journal{});
}

TEST(LabState, ANameIsTakenOnce) {
  const testing::TempDirectory root;
  {
    const auto first = StateDirectory::create(root.path(), "t");
    ASSERT_TRUE(first);
    const auto second = StateDirectory::create(root.path(), "t");
    ASSERT_FALSE(second);
    EXPECT_NE(second.error().message.find("left half made: godwit lab down t"), std::string::npos);
    ASSERT_TRUE(first->write_state(some_state()));
    EXPECT_NE(StateDirectory::create(root.path(), "t").error().message.find("is up already: godwit lab down t"),
              std::string::npos);
  }
  EXPECT_EQ(lab_names(root.path()), std::vector<std::string>{"t"});
  ASSERT_TRUE(StateDirectory::open(root.path(), "t")->remove());
  EXPECT_EQ(StateDirectory::open(root.path(), "t").error().code, Errc::not_found);
  EXPECT_TRUE(lab_names(root.path()).empty());
}

TEST(LabState, ADirectoryWithoutAJournalHoldsNothing) {
  const testing::TempDirectory root;
  const auto directory = StateDirectory::create(root.path(), "t");
  ASSERT_TRUE(directory);
  EXPECT_EQ(directory->read_journal(), Journal{});
  EXPECT_FALSE(directory->read_state());
  ASSERT_TRUE(directory->write_journal({"b", {"gw-t-a1"}}));
  EXPECT_EQ(directory->read_journal().netns.size(), 1U);
}

TEST(LabProcesses, OneIsKnownByPidAndStartTime) {
  const auto own = identify(::getpid());
  ASSERT_TRUE(own);
  EXPECT_TRUE(is_alive(*own));
  EXPECT_FALSE(is_alive({own->pid, own->start_ticks + 1}));
  EXPECT_FALSE(identify(0));
}

}  // namespace
}  // namespace godwit::lab
