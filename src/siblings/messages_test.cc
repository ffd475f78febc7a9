#include "siblings/messages.h"

#include "base/page.h"

#include <gtest/gtest.h>

namespace godwit::siblings {
namespace {

PageDigest digest(std::uint8_t first) {
  PageDigest out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::byte>(first + i);
  return out;
}

// Without the length, which must be right.
ByteVector frame_of(const ByteVector& packed) {
  EXPECT_EQ(load_be32(packed), packed.size() - 4);
  return {packed.begin() + 4, packed.end()};
}

TEST(DirectoryMessages, AreTheseBytes) {
  EXPECT_EQ(to_hex(pack(Hello{0x0102030405060708})),
            "00000011"
            "01"
            "47444952"
            "00000002"
            "0102030405060708");
  EXPECT_EQ(to_hex(pack(Welcome{0x1112131415161718, digest(0x20)})),
            "0000001d"
            "02"
            "00000002"
            "1112131415161718"
            "202122232425262728292a2b2c2d2e2f");
  EXPECT_EQ(to_hex(pack(Tell{{digest(0)}})),
            "00000013"
            "03"
            "0001"
            "000102030405060708090a0b0c0d0e0f");
  EXPECT_EQ(to_hex(pack(Withdraw{{digest(0)}})),
            "00000013"
            "04"
            "0001"
            "000102030405060708090a0b0c0d0e0f");
  EXPECT_EQ(to_hex(pack(Lookup{7, {digest(0)}})),
            "00000017"
            "05"
            "00000007"
            "0001"
            "000102030405060708090a0b0c0d0e0f");
  EXPECT_EQ(to_hex(pack(Found{7, {"a1"}, {1, 0}})),
            "0000000d"
            "06"
            "00000007"
            "01"
            "026131"
            "0002"
            "0100");
  EXPECT_EQ(to_hex(pack(Fetch{8, "al", digest(0x40), {digest(0)}})),
            "0000002a"
            "07"
            "00000008"
            "02616c"
            "404142434445464748494a4b4c4d4e4f"
            "0001"
            "000102030405060708090a0b0c0d0e0f");
  EXPECT_EQ(to_hex(pack(Pages{8, Outcome::busy, {}, {}})),
            "00000008"
            "08"
            "00000008"
            "02"
            "0000");
}

TEST(DirectoryMessages, OfPagesThatAreAlikeAreTheseBytes) {
  EXPECT_EQ(to_hex(pack(TellAlike{{0x0102030405060708}})),
            "0000000b"
            "09"
            "0001"
            "0102030405060708");
  EXPECT_EQ(to_hex(pack(Seek{7, {0x0102030405060708}})),
            "0000000f"
            "0a"
            "00000007"
            "0001"
            "0102030405060708");
  EXPECT_EQ(to_hex(pack(FetchAlike{8, "al", digest(0x40), {{0x01020304, 0x05060708}}})),
            "00000022"
            "0b"
            "00000008"
            "02616c"
            "404142434445464748494a4b4c4d4e4f"
            "0001"
            "0102030405060708");
}

TEST(DirectoryMessages, OfAnOlderAgentAreStillWhatTheyWere) {
  EXPECT_EQ(to_hex(pack(Hello{0x0102030405060708, 1})),
            "00000011014744495200000001"
            "0102030405060708");
  const auto hello = parse_hello(frame_of(pack(Hello{9, 1})));
  ASSERT_TRUE(hello.has_value());
  EXPECT_EQ(hello->version, 1U);
  EXPECT_EQ(least_version(pack(Tell{{digest(0)}})), 1U);
  EXPECT_EQ(least_version(pack(Pages{8, Outcome::busy, {}, {}})), 1U);
  EXPECT_EQ(least_version(pack(TellAlike{{1}})), 2U);
  EXPECT_EQ(least_version(pack(FetchAlike{8, "al", digest(0x40), {}})), 2U);
}

TEST(DirectoryMessages, AreReadAsTheyWereWritten) {
  const auto hello = parse_hello(frame_of(pack(Hello{9})));
  ASSERT_TRUE(hello.has_value());
  EXPECT_EQ(hello->incarnation, 9U);
  const auto welcome = parse_welcome(frame_of(pack(Welcome{9, digest(1)})));
  ASSERT_TRUE(welcome.has_value());
  EXPECT_EQ(welcome->nonce, digest(1));
  const auto found = parse_found(frame_of(pack(Found{3, {"a1", "a2"}, {2, 0, 1}})));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->holders, (std::vector<std::string>{"a1", "a2"}));
  EXPECT_EQ(found->of, (std::vector<std::uint8_t>{2, 0, 1}));
  const auto fetch = parse_fetch(frame_of(pack(Fetch{4, "alice", digest(2), {digest(5), digest(6)}})));
  ASSERT_TRUE(fetch.has_value());
  EXPECT_EQ(fetch->tenant, "alice");
  EXPECT_EQ(fetch->digests[1], digest(6));
  const auto pages = parse_pages(frame_of(pack(Pages{5, Outcome::served, {false, true}, ByteVector(kPage_bytes)})));
  ASSERT_TRUE(pages.has_value());
  EXPECT_EQ(pages->held, (std::vector<bool>{false, true}));
  EXPECT_EQ(pages->content.size(), kPage_bytes);
  const auto told = parse_tell_alike(frame_of(pack(TellAlike{{3, 4}})));
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(told->tags, (std::vector<SketchTag>{3, 4}));
  const auto sought = parse_seek(frame_of(pack(Seek{6, {5}})));
  ASSERT_TRUE(sought.has_value());
  EXPECT_EQ(sought->tags, std::vector<SketchTag>{5});
  const auto alike = parse_fetch_alike(frame_of(pack(FetchAlike{4, "alice", digest(2), {{1, 2}, {3, 0}}})));
  ASSERT_TRUE(alike.has_value());
  EXPECT_EQ(alike->proof, digest(2));
  EXPECT_EQ(alike->sketches, (std::vector<Sketch>{{1, 2}, {3, 0}}));
}

TEST(DirectoryMessages, NothingThatIsCutShortOrTooLongIsRead) {
  const auto pages = frame_of(pack(Pages{5, Outcome::served, {true}, ByteVector(kPage_bytes)}));
  const auto found = frame_of(pack(Found{3, {"a1"}, {1}}));
  const auto fetch = frame_of(pack(Fetch{4, "alice", digest(2), {digest(5)}}));
  const auto tell = frame_of(pack(Tell{{digest(1), digest(2)}}));
  const auto shorter = [](const ByteVector& whole, auto parse) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(parse(ByteView(whole).first(size)).has_value()) << size;
    }
  };
  shorter(pages, parse_pages);
  shorter(found, parse_found);
  shorter(fetch, parse_fetch);
  shorter(tell, parse_tell);
  shorter(frame_of(pack(TellAlike{{1, 2}})), parse_tell_alike);
  shorter(frame_of(pack(Seek{3, {1, 2}})), parse_seek);
  shorter(frame_of(pack(FetchAlike{4, "alice", digest(2), {{1, 2}}})), parse_fetch_alike);
  auto longer = tell;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(parse_tell(longer).has_value());
}

TEST(DirectoryMessages, RefuseWhatTheyCanNotMean) {
  EXPECT_FALSE(parse_hello(frame_of(pack(Hello{0}))).has_value()) << "no process is number 0";
  EXPECT_FALSE(parse_found(frame_of(pack(Found{3, {"a1"}, {2}}))).has_value()) << "a holder that is not named";
  auto other = frame_of(pack(Hello{1}));
  other[8] = std::byte{3};
  const auto refused = parse_hello(other);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::unsupported);
  EXPECT_FALSE(parse_fetch(frame_of(pack(Fetch{4, "", digest(2), {digest(5)}}))).has_value());
  EXPECT_FALSE(parse_hello(frame_of(pack(Hello{1, 0}))).has_value());
  EXPECT_FALSE(parse_fetch_alike(frame_of(pack(FetchAlike{4, "", digest(2), {{1, 2}}}))).has_value());
  EXPECT_EQ(type_of(ByteVector{std::byte{12}}), std::nullopt);
  EXPECT_EQ(type_of({}), std::nullopt);
}

}  // namespace
}  // namespace godwit::siblings
