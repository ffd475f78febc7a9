#include "cli/savings.h"

#include "cli/text.h"

#include <gtest/gtest.h>

#include <vector>

namespace godwit::cli {
namespace {

constexpr std::uint64_t kMiB = 1024UL * 1024;

wire::MigrationReport moved() {
  wire::MigrationReport report;
  report.cost.savings = {.zero = 100 * kMiB,
                         .image = 400 * kMiB,
                         .sibling = 200 * kMiB,
                         .earlier = 100 * kMiB,
                         .similar = 120 * kMiB,
                         .compressed = 50 * kMiB,
                         .literal = 20 * kMiB,
                         .other = 10 * kMiB};
  report.cost.wan_bytes = {.memory = 30 * kMiB, .disk = 10 * kMiB};
  return report;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

TEST(Savings, EachKindIsSaidWithItsPartAndTheReason) {
  EXPECT_EQ(crossing_table(crossing_of(moved())),
            "CROSSED AS     BYTES   PART  WHY\n"
            "zero         100 MiB  10.0%  said, not sent\n"
            "image        400 MiB  40.0%  blocks of an image that is there\n"
            "sibling      200 MiB  20.0%  crossed before, of another instance\n"
            "earlier      100 MiB  10.0%  crossed before, of this one\n"
            "similar      120 MiB  12.0%  sent as the change from what had crossed\n"
            "compressed  50.0 MiB   5.0%  new, taken off by compression\n"
            "literal     20.0 MiB   2.0%  new, sent\n"
            "rest        10.0 MiB   1.0%  no pages: devices, QEMU's records\n"
            "in all      1000 MiB      -  what QEMU put out, memory and disk\n"
            "on the WAN  40.0 MiB   4.0%  25x less: 30.0 MiB memory, 10.0 MiB disk\n");
}

TEST(Savings, SomeMigrationsTogetherAreAddedUp) {
  const std::vector reports{moved(), moved()};
  const auto sum = crossing_of(reports);
  EXPECT_EQ(sum.guest_bytes, 2'000 * kMiB);
  EXPECT_EQ(sum.as.sibling, 400 * kMiB);
  EXPECT_EQ(ratio_text(sum), "25x");
}

TEST(Savings, WhatFitsATerminalSaysTheMostOfItInALine) {
  EXPECT_EQ(crossing_line(crossing_of(moved())),
            "WAN 40.0 MiB (25x): zero 10%, image 40%, sibling 20%, earlier 10%, similar 12%");
  EXPECT_LT(display_width(crossing_line(crossing_of(moved()))), 80U);
  auto back = moved();
  back.cost.savings = {.earlier = 990 * kMiB, .compressed = 7 * kMiB, .literal = 3 * kMiB};
  EXPECT_EQ(crossing_line(crossing_of(back)), "WAN 40.0 MiB (25x): earlier 99%, compressed 1%");
}

TEST(Savings, AnEncodingThatDoesNotLookHasARatioAllTheSame) {
  wire::MigrationReport report;
  report.progress.memory_sent_bytes = 200 * kMiB;
  report.progress.disk_sent_bytes = 40 * kMiB;
  report.cost.wan_bytes = {.memory = 90 * kMiB, .disk = 10 * kMiB};
  const auto crossing = crossing_of(report);
  EXPECT_EQ(crossing_line(crossing), "WAN 100 MiB (2.4x)");
  EXPECT_EQ(crossing_table(crossing),
            "CROSSED AS    BYTES   PART  WHY\n"
            "in all      240 MiB      -  what QEMU put out, memory and disk\n"
            "on the WAN  100 MiB  41.7%  2.4x less: 90.0 MiB memory, 10.0 MiB disk\n");
}

TEST(Savings, NothingIsSaidBeforeAnythingHasCrossed) {
  EXPECT_EQ(ratio_text({}), "");
  EXPECT_EQ(crossing_line({}), "");
  EXPECT_EQ(crossing_table({}), "");
}

TEST(Savings, WhateverTheNumbersTheTableFitsATerminal) {
  auto report = moved();
  for (auto* each : {&report.cost.savings.zero, &report.cost.savings.image, &report.cost.savings.sibling}) {
    *each = 1'023UL << 50U;
  }
  report.cost.wan_bytes = {.memory = 1'023UL << 40U, .disk = 1'023UL << 30U};
  for (const auto& line : lines_of(crossing_table(crossing_of(report)))) EXPECT_LE(display_width(line), 80U) << line;
}

}  // namespace
}  // namespace godwit::cli
