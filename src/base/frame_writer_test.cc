#include "base/frame_writer.h"

#include "base/byte_reader.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

enum class Colour : std::uint8_t { red = 1, green };

ByteVector a_frame() {
  FrameWriter out;
  out.word(Colour::green);
  out.be16(0x0102);
  out.be32(0x03040506);
  out.be64(0x0708090a0b0c0d0e);
  out.byte(1);
  out.short_text("hi");
  out.bytes(as_bytes("xyz"));
  return out.take();
}

TEST(FrameWriter, AFrameIsItsLengthAndThenItsFields) {
  EXPECT_EQ(to_hex(a_frame()),
            "00000016"
            "02"
            "0102"
            "03040506"
            "0708090a0b0c0d0e"
            "01"
            "026869"
            "78797a");
}

TEST(FrameWriter, ALengthNeedNotCountAHead) {
  FrameWriter out(8);
  out.be32(0x0a000000);
  out.byte(7);
  EXPECT_EQ(to_hex(out.take()), "000000010a00000007");
}

TEST(FrameWriter, AFrameIsReadAsItWasWritten) {
  const auto frame = a_frame();
  ByteReader in(ByteView(frame).subspan(FrameWriter::kLength_bytes));
  EXPECT_EQ(in.word(Colour::green), Colour::green);
  EXPECT_EQ(in.be16(), 0x0102);
  EXPECT_EQ(in.be32(), 0x03040506U);
  EXPECT_EQ(in.be64(), 0x0708090a0b0c0d0eU);
  EXPECT_TRUE(in.flag());
  EXPECT_EQ(in.short_text(), "hi");
  EXPECT_EQ(in.left_bytes(), 3U);
  std::array<std::byte, 3> last{};
  in.into(last);
  EXPECT_EQ(as_text(last), "xyz");
  EXPECT_TRUE(in.ended_in_order());
}

TEST(ByteReader, BehindAFieldThatIsMissingEverythingIsEmpty) {
  const ByteVector bytes(3, std::byte{1});
  ByteReader in(bytes);
  EXPECT_EQ(in.be32(), 0U);
  EXPECT_FALSE(in.is_whole());
  EXPECT_EQ(in.byte(), 0) << "though there were bytes for it";
  std::array<std::byte, 1> into{};
  in.into(into);
  EXPECT_EQ(into[0], std::byte{0});
  EXPECT_TRUE(in.short_text().empty());
  EXPECT_FALSE(in.ended_in_order());
}

TEST(ByteReader, WhatCantBeMeantIsNoField) {
  const ByteVector bytes{std::byte{3}, std::byte{0}};
  ByteReader words(bytes);
  (void)words.word(Colour::green);
  EXPECT_FALSE(words.is_whole()) << "there are two";
  ByteReader zero(ByteView(bytes).subspan(1));
  (void)zero.word(Colour::green);
  EXPECT_FALSE(zero.is_whole()) << "0 is none";
  ByteReader flags(bytes);
  EXPECT_FALSE(flags.flag());
  EXPECT_FALSE(flags.is_whole());
}

}  // namespace
}  // namespace godwit
