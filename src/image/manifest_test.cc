#include "image/manifest.h"

#include <gtest/gtest.h>

namespace godwit::image {
namespace {

constexpr std::string_view kSomeRoot = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

Manifest sample() {
  Manifest manifest;
  manifest.files = {{Role::disk, 3ULL << 30U, std::string(kSomeRoot)},
                    {Role::kernel, 8'000'123, std::string(kSomeRoot)},
                    {Role::initrd, 65'536, std::string(kSomeRoot)}};
  manifest.cmdline = "root=/dev/vda console=\"ttyS0\"";
  return manifest;
}

TEST(ManifestTest, StandsAsTheFormatSays) {
  const auto text = print_manifest(sample());
  EXPECT_EQ(text, fmt::format(R"({{"version":1,"files":[)"
                              R"({{"role":"disk","bytes":3221225472,"root":"{0}"}},)"
                              R"({{"role":"kernel","bytes":8000123,"root":"{0}"}},)"
                              R"({{"role":"initrd","bytes":65536,"root":"{0}"}}],)"
                              R"("cmdline":"root=/dev/vda console=\"ttyS0\""}})",
                              kSomeRoot));
  EXPECT_EQ(id_of(text), "f81cf6e1f9205e8790bbadbfecee70ba487f8bc68cb79bff207c4ba599ac0cdd");
  EXPECT_EQ(parse_manifest(text).value(), sample());
}

TEST(ManifestTest, UsersSeeAnIdAsEc2Has) {
  EXPECT_EQ(ami_of(kSomeRoot), "ami-00010203040506070");
  EXPECT_TRUE(is_image_id(kSomeRoot));
  EXPECT_FALSE(is_image_id(kSomeRoot.substr(1)));
  EXPECT_FALSE(is_image_id(std::string(64, 'A')));
}

TEST(ManifestTest, HasOneSpelling) {
  const auto text = print_manifest(sample());
  EXPECT_FALSE(parse_manifest(text + " "));
  EXPECT_FALSE(parse_manifest(text + "\n"));
  auto other = text;
  other.insert(1, R"("more":0,)");
  EXPECT_FALSE(parse_manifest(other)) << "a field that nobody knows";
  auto escaped = text;
  escaped.replace(escaped.find("console"), 1, "\\u0063");
  EXPECT_FALSE(parse_manifest(escaped));
  for (std::size_t size = 0; size < text.size(); ++size) EXPECT_FALSE(parse_manifest(text.substr(0, size))) << size;
}

TEST(ManifestTest, WhatCannotBeIsRefusedWithTheReason) {
  struct Case {
    const char* reason;
    void (*spoil)(Manifest&);
  };
  for (const auto& each : {
           Case{"version", [](Manifest& m) { m.version = 2; }},
           Case{"no files", [](Manifest& m) { m.files.clear(); }},
           Case{"order", [](Manifest& m) { std::swap(m.files[0], m.files[1]); }},
           Case{"twice", [](Manifest& m) { m.files[1] = m.files[0]; }},
           Case{"empty", [](Manifest& m) { m.files[2].bytes = 0; }},
           Case{"512", [](Manifest& m) { m.files[0].bytes += 1; }},
           Case{"1 TiB", [](Manifest& m) { m.files[0].bytes = (1ULL << 40U) + 512; }},
           Case{"1 TiB in all", [](Manifest& m) { m.files[0].bytes = 1ULL << 40U; }},
           Case{"hex", [](Manifest& m) { m.files[0].root[3] = 'A'; }},
           Case{"hex", [](Manifest& m) { m.files[0].root.pop_back(); }},
           Case{"ASCII", [](Manifest& m) { m.cmdline += "\n"; }},
           Case{"ASCII", [](Manifest& m) { m.cmdline += "\xc3\xa9"; }},
           Case{"2,048", [](Manifest& m) { m.cmdline.resize(2049, 'x'); }},
           Case{"no kernel", [](Manifest& m) { m.files.erase(m.files.begin() + 1); }},
           Case{"no kernel", [](Manifest& m) { m.files.resize(1); }},
       }) {
    auto manifest = sample();
    each.spoil(manifest);
    const auto checked = check(manifest);
    ASSERT_FALSE(checked) << each.reason;
    EXPECT_NE(checked.error().message.find(each.reason), std::string::npos) << checked.error().message;
    EXPECT_FALSE(parse_manifest(print_manifest(manifest))) << each.reason;
  }
}

TEST(PieceTree, DigestsOfZerosAreThoseThatEverybodyKnows) {
  EXPECT_EQ(to_hex(zero_block()), "ad7facb2586fc6e966c004d7d1d16b024f5805ff7cb47c7a85dabd8b48892ca7");
  PieceDigester digester;
  EXPECT_EQ(digester.digest(ByteVector(kPiece_bytes)), zero_piece());
  EXPECT_EQ(to_hex(zero_piece()), "3f4cf4f06bf3b12c886bd69ef479e0be8bc5084b3d761f0fcbbb7f6202090c8c");
}

TEST(PieceTree, ARootIsOfSizeAndPieces) {
  ByteVector pieces;
  append(pieces, zero_piece());
  const auto root = root_of(kPiece_bytes, pieces);
  EXPECT_EQ(to_hex(root), "6e84d4bf1067407338363e3c4d0f132fbfff5a297e6d71f9b91edf310bcb1549");
  EXPECT_NE(root, root_of(kPiece_bytes - 1, pieces)) << "a file that ends earlier is another";
}

// The piece list of three files, and where each piece is.
TEST(PieceTree, PiecesOfAllFilesFollowEachOther) {
  Manifest manifest;
  manifest.files = {{Role::disk, 2 * kPiece_bytes, ""}, {Role::kernel, kPiece_bytes + 1, ""}, {Role::initrd, 7, ""}};
  EXPECT_EQ(pieces_of(manifest), 5U);
  struct Case {
    std::uint64_t piece;
    std::size_t file;
    std::uint64_t offset;
    std::size_t bytes;
  };
  for (const auto& each : {Case{0, 0, 0, kPiece_bytes}, Case{1, 0, kPiece_bytes, kPiece_bytes},
                           Case{2, 1, 0, kPiece_bytes}, Case{3, 1, kPiece_bytes, 1}, Case{4, 2, 0, 7}}) {
    const auto place = place_of(manifest, each.piece);
    EXPECT_EQ(place.file, each.file);
    EXPECT_EQ(place.offset, each.offset);
    EXPECT_EQ(place.bytes, each.bytes);
  }
}

TEST(PieceTree, AListIsBelievedOnlyIfTheManifestHasItsRoots) {
  ByteVector list;
  for (int i = 0; i < 3; ++i) append(list, zero_piece());
  Manifest manifest;
  manifest.files = {{Role::disk, kPiece_bytes, to_hex(root_of(kPiece_bytes, ByteView(list).first(32)))},
                    {Role::kernel, kPiece_bytes + 5, to_hex(root_of(kPiece_bytes + 5, ByteView(list).subspan(32)))}};
  EXPECT_TRUE(check_list(manifest, list));
  EXPECT_EQ(check_list(manifest, ByteView(list).first(64)).error().code, Errc::invalid_argument);
  for (std::size_t i = 0; i < list.size(); i += 5) {
    auto altered = list;
    altered[i] ^= std::byte{1};
    EXPECT_EQ(check_list(manifest, altered).error().code, Errc::not_authentic) << i;
  }
}

}  // namespace
}  // namespace godwit::image
