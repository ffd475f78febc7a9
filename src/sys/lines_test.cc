#include "sys/lines.h"

#include <gtest/gtest.h>

namespace godwit::sys {
namespace {

std::vector<std::string> drain(LineBuffer& buffer) {
  std::vector<std::string> out;
  for (auto line = buffer.next(); line && *line; line = buffer.next()) out.emplace_back(**line);
  return out;
}

TEST(Lines, AreTheSameInWhateverPiecesTheyCome) {
  const std::string text = "one\n\nthree\r\nno end";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    LineBuffer buffer(6);
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text.size(); at += piece) {
      buffer.add(text.substr(at, piece));
      for (auto& line : drain(buffer)) lines.push_back(std::move(line));
    }
    EXPECT_EQ(lines, (std::vector<std::string>{"one", "", "three\r"})) << "in pieces of " << piece;
  }
}

TEST(Lines, SomeMayBeLeftForLater) {
  LineBuffer buffer(8);
  buffer.add("a\nb\nc");
  EXPECT_EQ(buffer.next()->value(), "a");
  buffer.add("d\n");
  EXPECT_EQ(drain(buffer), (std::vector<std::string>{"b", "cd"}));
}

TEST(Lines, OneThatIsTooLongIsAnErrorWithOrWithoutItsEnd) {
  LineBuffer open(3);
  open.add("abc");
  EXPECT_TRUE(open.next());
  open.add("d");
  EXPECT_EQ(open.next().error().code, Errc::protocol);
  LineBuffer whole(3);
  whole.add("abcd\n");
  EXPECT_EQ(whole.next().error().message, "a line of more than 3 bytes");
}

}  // namespace
}  // namespace godwit::sys
