#include "wire/json.h"

#include <gtest/gtest.h>

namespace godwit::wire {
namespace {

BOOST_DEFINE_ENUM_CLASS(Colour, red, green)

struct Inner {
  std::string name;
  std::optional<std::uint16_t> port;
};
BOOST_DESCRIBE_STRUCT(Inner, (), (name, port))

struct Outer {
  int count{7};
  Colour colour{Colour::red};
  std::vector<Inner> inners;
  std::map<std::string, double> prices;
};
BOOST_DESCRIBE_STRUCT(Outer, (), (count, colour, inners, prices))

TEST(Json, ReadsBackWhatItWrote) {
  Outer out;
  out.colour = Colour::green;
  out.inners = {{"x", std::nullopt}, {"y", 80}};
  out.prices["a"] = 0.5;
  const auto back = decode<Outer>(encode(out));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(encode(*back), encode(out));
  EXPECT_EQ(back->inners[1].port, 80);
}

TEST(Json, AnEnumIsItsWholeNameOrNothing) {
  EXPECT_TRUE(decode<Outer>(R"({"colour": "green"})"));
  EXPECT_FALSE(decode<Outer>(R"({"colour": "green\u0000ish"})"));
  EXPECT_FALSE(decode<Outer>(R"({"colour": ""})"));
}

TEST(Json, MissingFieldsKeepDefaultsAndUnknownOnesArePassedOver) {
  const auto got = decode<Outer>(R"({"from_the_future": [1, {}], "inners": []})");
  ASSERT_TRUE(got);
  EXPECT_EQ(got->count, 7);
}

TEST(Json, WhatIsWrittenCanBeReadWhateverItHolds) {
  Outer out;
  out.inners = {{"cut \xe2\x82", std::nullopt}};
  const auto back = decode<Outer>(encode(out));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->inners[0].name, "cut \xef\xbf\xbd\xef\xbf\xbd");
}

TEST(Json, ErrorsNameTheField) {
  EXPECT_EQ(decode<Outer>(R"({"inners":[{"name":1}]})").error().message, "inners[0].name: must be a string");
  EXPECT_EQ(decode<Outer>(R"({"inners":[{"port":70000}]})").error().message,
            "inners[0].port: must be a smaller number");
  EXPECT_EQ(decode<Outer>(R"({"colour":"blue"})").error().message, "colour: \"blue\" is no known value");
  EXPECT_FALSE(decode<Outer>("{"));
  EXPECT_FALSE(decode<Outer>(std::string(100, '[')));
}

}  // namespace
}  // namespace godwit::wire
