#include "migrate/channel.h"

#include <gtest/gtest.h>

#include <random>

namespace godwit::migrate {
namespace {

Hello hello() {
  Hello hello;
  hello.version = kProtocolVersion;
  hello.migration = "mig-0123456789abcdef0";
  hello.ticket = "t";
  hello.spec.id = "i-0123456789abcdef0";
  hello.spec.user_data = "#!/bin/sh\n";
  hello.location_version = 3;
  hello.source_api = "https://10.1.0.1:7443";
  hello.encodings = {"plain"};
  return hello;
}

TEST(Channel, MessagesComeBackAsTheyWere) {
  const auto one = parse_hello(wire::encode(hello()));
  ASSERT_TRUE(one) << one.error().message;
  EXPECT_EQ(wire::encode(*one), wire::encode(hello()));
  Frame owned;
  owned.type = FrameType::owned;
  owned.started_after_ms = 12.5;
  const auto two = parse_frame(wire::encode(owned));
  ASSERT_TRUE(two);
  EXPECT_EQ(two->started_after_ms, 12.5);
  EXPECT_EQ(saying_of(*two), Saying::owned);
}

// docs/protocols/migration.md shows these bytes.
TEST(Channel, GoldenBytes) {
  Frame released;
  released.type = FrameType::released;
  const auto bytes = pack(released);
  EXPECT_EQ(to_hex(ByteView(bytes).first(4)), "00000063");
  EXPECT_EQ(as_text(ByteView(bytes).subspan(4)),
            R"({"type":"released","sequence":0,"reason":"","started_after_ms":null,"progress":null,"hand_offs":[]})");
}

TEST(Channel, WhatIsMissingOrOutOfBoundsIsNamed) {
  auto bad = hello();
  bad.version = 0;
  EXPECT_EQ(parse_hello(wire::encode(bad)).error().message, "Hello: version is not as it must be");
  bad = hello();
  bad.migration = "../../etc/passwd";
  EXPECT_EQ(parse_hello(wire::encode(bad)).error().message, "Hello: migration is not as it must be");
  bad = hello();
  bad.nonce = std::string(65, 'x');
  EXPECT_FALSE(parse_hello(wire::encode(bad)));
  bad = hello();
  bad.ticket = std::string(17'000, 'x');
  EXPECT_FALSE(parse_hello(wire::encode(bad)));
  bad = hello();
  bad.location_version = 1ULL << 62U;
  EXPECT_FALSE(parse_hello(wire::encode(bad)));
  EXPECT_EQ(parse_frame("{}").error().message, "frame: type is not as it must be");
  EXPECT_EQ(parse_frame(R"({"type":"reboot"})").error().code, Errc::protocol);
  EXPECT_FALSE(parse_frame("{\"type\":\"abort\",\"reason\":\"" + std::string(5'000, 'x') + "\"}"));
  EXPECT_FALSE(parse_frame(std::string(kFrameLimit_bytes + 1, ' ')));
  EXPECT_FALSE(parse_welcome("{\"ok\":true}")) << "no version";
}

// A spec with all the user data that is allowed fits, however JSON must write it.
TEST(Channel, TheLargestSpecFits) {
  auto large = hello();
  large.spec.user_data = std::string(wire::kUserDataLimit, '\x01');
  EXPECT_LT(pack(large).size(), kHelloLimit_bytes);
  EXPECT_TRUE(parse_hello(wire::encode(large)));
}

// Bytes of others: whatever they are, an error or a message, and nothing else.
TEST(Channel, ParsersSurviveTenThousandBrokenMessages) {
  std::mt19937_64 random(1);
  Frame progress;
  progress.type = FrameType::progress;
  progress.progress.emplace();
  Welcome welcome;
  welcome.version = 1;
  const std::vector<std::string> good{wire::encode(hello()), wire::encode(progress), wire::encode(welcome)};
  for (int i = 0; i < 10'000; ++i) {
    std::string text = good[random() % good.size()];
    for (auto left = 1 + random() % 8; left > 0; --left) {
      const auto at = random() % text.size();
      switch (random() % 4) {
        case 0: text[at] = static_cast<char>(random()); break;
        case 1: text.erase(at, 1 + random() % 20); break;
        case 2: text.insert(at, text.substr(random() % text.size(), random() % 40)); break;
        default: text.insert(at, std::string(random() % 40, "{[\"\\0x9:,-"[random() % 10])); break;
      }
      if (text.empty()) text = "{";
    }
    (void)parse_hello(text);
    (void)parse_frame(text);
    (void)parse_welcome(text);
  }
}

}  // namespace
}  // namespace godwit::migrate
