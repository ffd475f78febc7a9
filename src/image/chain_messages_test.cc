#include "image/chain_messages.h"

#include <gtest/gtest.h>

namespace godwit::image::chain {
namespace {

// Without its head, which must be right.
ByteVector body_of(const ByteVector& frame, Type type) {
  const auto head = parse_head(ByteView(frame).first(kHead_bytes));
  EXPECT_TRUE(head.has_value());
  EXPECT_EQ(head->type, type);
  EXPECT_EQ(head->body_bytes, frame.size() - kHead_bytes);
  return {frame.begin() + kHead_bytes, frame.end()};
}

ByteVector digests(std::size_t count) {
  ByteVector all(count * sizeof(PieceDigest));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::byte>(i);
  return all;
}

TEST(ChainMessages, AreTheseBytes) {
  EXPECT_EQ(to_hex(pack(Hello{Purpose::replace, true, 3, "ami-1"})),
            "00000018"
            "01000000"
            "4743484e"
            "00000002"
            "02"
            "01"
            "0000000000000003"
            "05616d692d31");
  EXPECT_EQ(to_hex(pack(Answer{Outcome::occupied, 7, "a2"})),
            "0000000c"
            "02000000"
            "02"
            "0000000000000007"
            "026132");
  EXPECT_EQ(to_hex(pack(List{2, digests(1)})),
            "00000028"
            "03000000"
            "0000000000000002"
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
  const ByteVector bits{std::byte{0x81}};
  EXPECT_EQ(to_hex(pack(Have{true, 8, bits})),
            "0000000a"
            "04000000"
            "01"
            "0000000000000008"
            "81");
  EXPECT_EQ(to_hex(pack(News{5, 6, false, {{"a1", 9, true}}})),
            "0000001e"
            "06000000"
            "0000000000000005"
            "0000000000000006"
            "00"
            "01"
            "026131"
            "0000000000000009"
            "01");
  EXPECT_EQ(to_hex(pack(Progress{4})), "00000008070000000000000000000004");
  EXPECT_EQ(to_hex(pack(Want{{1, 258}})), "00000008080000000000000100000102");
  EXPECT_EQ(to_hex(pack(More{8})), "00000002090000000008");
  EXPECT_EQ(to_hex(pack(Stay{})), "000000000a000000");
  EXPECT_EQ(to_hex(pack(Moved{Why::follow, "a3"})), "000000040b00000003026133");
  EXPECT_EQ(to_hex(pack(Pace{65536})), "000000080c0000000000000000010000");
  ByteVector piece(kPieceFrame_bytes);
  store_piece_head(piece, 0x0102);
  EXPECT_EQ(to_hex(ByteView(piece).first(17)),
            "00010008050000000000000000000102"
            "00");
}

TEST(ChainMessages, APackedPieceIsTheseBytes) {
  ByteVector piece(kPieceHead_bytes + 2, std::byte{0xab});
  store_piece_head(piece, 0x0102);
  EXPECT_EQ(to_hex(piece), "0000000a0d0000000000000000000102abab");
}

TEST(ChainMessages, AreReadAsTheyWereWritten) {
  const auto hello = parse_hello(body_of(pack(Hello{Purpose::trial, false, 9, "ami-2"}), Type::hello));
  ASSERT_TRUE(hello.has_value());
  EXPECT_EQ(hello->purpose, Purpose::trial);
  EXPECT_FALSE(hello->has_list);
  EXPECT_EQ(hello->pieces, 9U);
  EXPECT_EQ(hello->image, "ami-2");
  const News said{5, 6, true, {{"a1", 9, false}, {"a0", 10, true}}};
  const auto news = parse_news(body_of(pack(said), Type::news));
  ASSERT_TRUE(news.has_value());
  EXPECT_EQ(*news, said);
  const auto bytes = body_of(pack(List{4, digests(3)}), Type::list);
  const auto list = parse_list(bytes);
  ASSERT_TRUE(list.has_value());
  EXPECT_EQ(list->first, 4U);
  EXPECT_EQ(list->digests.size(), 96U);
  const auto moved = parse_moved(body_of(pack(Moved{Why::demoted, {}}), Type::moved));
  ASSERT_TRUE(moved.has_value());
  EXPECT_EQ(moved->why, Why::demoted);
  const auto want = parse_want(body_of(pack(Want{{7, 8}}), Type::want));
  ASSERT_TRUE(want.has_value());
  EXPECT_EQ(want->pieces, (std::vector<std::uint32_t>{7, 8}));
  ByteVector piece(kPieceFrame_bytes);
  store_piece_head(piece, 77);
  EXPECT_EQ(parse_piece(body_of(piece, Type::piece)).value(), 77U);
  piece.resize(kPieceHead_bytes + kPackedLimit_bytes);
  store_piece_head(piece, 78);
  EXPECT_EQ(parse_packed(body_of(piece, Type::packed)).value(), 78U);
}

TEST(ChainMessages, NothingThatIsCutShortOrTooLongIsRead) {
  const auto refuses = [](ByteVector whole, auto parse) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(parse(ByteView(whole).first(size)).has_value()) << size;
    }
    whole.push_back(std::byte{0});
    EXPECT_FALSE(parse(whole).has_value());
  };
  refuses(body_of(pack(Hello{Purpose::join, false, 1, "ami-1"}), Type::hello), parse_hello);
  refuses(body_of(pack(Answer{Outcome::served, 1, "a"}), Type::answer), parse_answer);
  refuses(body_of(pack(News{1, 2, false, {{"a", 1, false}}}), Type::news), parse_news);
  refuses(body_of(pack(Progress{1}), Type::progress), parse_progress);
  refuses(body_of(pack(More{1}), Type::more), parse_more);
  refuses(body_of(pack(Moved{Why::follow, "a"}), Type::moved), parse_moved);
  refuses(body_of(pack(Pace{1}), Type::pace), parse_pace);
}

TEST(ChainMessages, RefuseWhatTheyCanNotMean) {
  const auto head = [](const char* hex) { return parse_head(from_hex(hex).value()); };
  EXPECT_FALSE(head("0000000100000000").has_value()) << "no type";
  EXPECT_FALSE(head("0000000110000000").has_value()) << "a type that nobody knows";
  EXPECT_FALSE(head("0000000101000001").has_value()) << "what must be zero";
  EXPECT_FALSE(head("0001001101000000").has_value()) << "longer than any frame";
  EXPECT_TRUE(head("0001001001000000").has_value());
  EXPECT_FALSE(parse_hello(body_of(pack(Hello{Purpose::join, false, kPiecesLimit + 1, "a"}), Type::hello)).has_value());
  EXPECT_FALSE(parse_hello(body_of(pack(Hello{Purpose::join, false, 1, ""}), Type::hello)).has_value());
  auto other = body_of(pack(Hello{Purpose::join, false, 1, "a"}), Type::hello);
  other[7] = std::byte{1};
  const auto refused = parse_hello(other);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::unsupported);
  auto none = body_of(pack(Answer{Outcome::served, 1, ""}), Type::answer);
  none[0] = std::byte{6};
  EXPECT_FALSE(parse_answer(none).has_value());
  EXPECT_FALSE(parse_list(body_of(pack(List{0, {}}), Type::list)).has_value()) << "nothing in it";
  EXPECT_FALSE(parse_packed(ByteVector(8)).has_value()) << "nothing in it";
  EXPECT_FALSE(parse_packed(ByteVector(8 + kPackedLimit_bytes + 1)).has_value()) << "it should have come plain";
  EXPECT_FALSE(parse_packed(ByteVector(9, std::byte{1})).has_value()) << "a piece that no image has";
  EXPECT_FALSE(parse_stay(ByteVector(1)).has_value());
  EXPECT_FALSE(parse_want(ByteVector(3)).has_value());
  EXPECT_FALSE(parse_want(ByteVector(4 * (kMostWanted + 1))).has_value());
}

}  // namespace
}  // namespace godwit::image::chain
