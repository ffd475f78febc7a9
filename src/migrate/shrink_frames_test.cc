#include "migrate/shrink_frames.h"

#include <gtest/gtest.h>

namespace godwit::migrate {
namespace {

RapportId rapport() {
  RapportId id;
  for (std::size_t i = 0; i < id.size(); ++i) id[i] = static_cast<std::byte>(i);
  return id;
}

CloudKey key(std::uint8_t of) {
  CloudKey key;
  key.fill(static_cast<std::byte>(of));
  return key;
}

content::PageDigest digest(std::uint8_t of) {
  content::PageDigest digest;
  digest.fill(static_cast<std::byte>(of));
  return digest;
}

const std::string kRapport = "000102030405060708090a0b0c0d0e0f";

std::string repeated(const std::string& text, int times) {
  std::string out;
  for (; times > 0; --times) out += text;
  return out;
}

// docs/formats/batch.md has them.
TEST(ShrinkFrames, GoldenBytes) {
  EXPECT_EQ(to_hex(pack(ShrinkHello{rapport(), 7})), "01" + kRapport + "00000007");
  EXPECT_EQ(to_hex(pack(ShrinkHello{rapport(), 7, 2})), "02" + kRapport + "00000007");
  EXPECT_EQ(to_hex(pack(ShrinkHello{rapport(), 7, 2, key(0xab)})), "02" + kRapport + "00000007" + repeated("ab", 32));
  ShrinkWelcome welcome{true, rapport(), 1, 2, key(0xcd), 3, 0x100000};
  EXPECT_EQ(to_hex(pack(welcome)), "0101" + kRapport + "00000001000000020000000300100000" + repeated("cd", 32));
  welcome.version = 2;
  EXPECT_EQ(to_hex(pack(welcome)).substr(0, 4), "0201");
  EXPECT_EQ(to_hex(pack_sketches({{0x01020304, 0x05060708}, {9, 0}})), "01020304050607080000000900000000");
  EXPECT_EQ(to_hex(pack(Alikes{std::nullopt, AlikePage{digest(0x11), true}, AlikePage{digest(0x22), false}})),
            "000102" + repeated("11", 16) + repeated("22", 16));
}

TEST(ShrinkFrames, AreReadAsTheyWereWritten) {
  const auto hello = parse_shrink_hello(pack(ShrinkHello{rapport(), 7, 2, key(1)}));
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->version, 2);
  EXPECT_EQ(hello->connection, 7U);
  EXPECT_EQ(hello->key, key(1));
  const auto without = parse_shrink_hello(pack(ShrinkHello{rapport(), 7, 2}));
  ASSERT_TRUE(without);
  EXPECT_FALSE(without->key);
  ShrinkWelcome said{false, rapport(), 1, 2, key(2), 3, 4};
  said.version = 2;
  const auto welcome = parse_shrink_welcome(pack(said));
  ASSERT_TRUE(welcome);
  EXPECT_EQ(welcome->version, 2);
  EXPECT_EQ(welcome->connection, 3U);
  EXPECT_EQ(welcome->key, key(2));
  const auto sketches = parse_sketches(pack_sketches({{1, 2}, {3, 0}}));
  ASSERT_TRUE(sketches);
  EXPECT_EQ(*sketches, (std::vector<content::Sketch>{{1, 2}, {3, 0}}));
  const auto alikes = parse_alikes(pack(Alikes{AlikePage{digest(5), false}, std::nullopt}), 2);
  ASSERT_TRUE(alikes);
  ASSERT_TRUE((*alikes)[0]);
  EXPECT_EQ((*alikes)[0]->digest, digest(5));
  EXPECT_FALSE((*alikes)[0]->is_new);
  EXPECT_FALSE((*alikes)[1]);
}

TEST(ShrinkFrames, WhatTheyCannotMeanIsRefused) {
  auto hello = pack(ShrinkHello{rapport(), 7, 2, key(1)});
  for (std::size_t size = 0; size < hello.size(); ++size) {
    const bool whole = size == hello.size() - sizeof(CloudKey);
    EXPECT_EQ(parse_shrink_hello(ByteView(hello).first(size)).has_value(), whole) << size;
  }
  hello[0] = std::byte{1};
  EXPECT_FALSE(parse_shrink_hello(hello)) << "the first version has no key";
  hello[0] = std::byte{3};
  EXPECT_FALSE(parse_shrink_hello(hello));
  EXPECT_FALSE(parse_sketches({}));
  EXPECT_FALSE(parse_sketches(ByteVector(12)));
  const auto alikes = pack(Alikes{std::nullopt, AlikePage{digest(1), true}});
  for (std::size_t size = 0; size < alikes.size(); ++size) {
    EXPECT_FALSE(parse_alikes(ByteView(alikes).first(size), 2)) << size;
  }
  EXPECT_FALSE(parse_alikes(alikes, 3));
  auto unknown = alikes;
  unknown[0] = std::byte{3};
  EXPECT_FALSE(parse_alikes(unknown, 2));
}

}  // namespace
}  // namespace godwit::migrate
