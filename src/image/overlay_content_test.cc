#include "image/overlay_content.h"

#include "image/import.h"
#include "image/qcow2.h"
#include "os/page_files.h"
#include "support/image_host.h"
#include "support/temp_directory.h"

#include <cstdlib>
#include <fstream>

namespace godwit::image {
namespace {

using testing::ImageHost;

void must(const std::string& command) { ASSERT_EQ(std::system((command + " > /dev/null").c_str()), 0) << command; }

ByteVector content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return {as_bytes(text).begin(), as_bytes(text).end()};
}

// All of it, piece by piece, and that holes read as zeros.
ByteVector read_all(const Content& content) {
  ByteVector all(content.bytes());
  for (std::uint64_t at = 0; at < all.size(); at += kPiece_bytes) {
    const auto into = ByteSpan(all).subspan(at, std::min<std::uint64_t>(kPiece_bytes, all.size() - at));
    const auto read = content.read(at, into);
    EXPECT_TRUE(read) << read.error().message;
    const bool zeros = std::ranges::all_of(into, [](std::byte each) { return each == std::byte{0}; });
    EXPECT_TRUE(zeros || !content.is_hole(at)) << at;
  }
  return all;
}

class RealOverlay : public ::testing::TestWithParam<const char*> {
 protected:
  testing::TempDirectory directory_;
  os::SystemPageFiles files_;
};

// What qemu-img and qemu-io make of a base that the overlay is longer than.
TEST_P(RealOverlay, ReadsAsQemuReadsIt) {
  const auto raw = directory_ / "raw";
  const auto base = directory_ / "base";
  const auto overlay = directory_ / "overlay";
  must(fmt::format("dd if=/dev/urandom of={} bs=512 count=5860 status=none", raw));  // no whole blocks of 4 KiB
  must(fmt::format("qemu-img convert -f raw -O {} {} {}", GetParam(), raw, base));
  must(fmt::format("qemu-img create -q -f qcow2 -F {} -b {} {} 16M", GetParam(), base, overlay));
  must(
      fmt::format("qemu-io -c 'write -P 7 4k 9k' -c 'write -z 128k 64k' -c 'write -z 200k 4k' -c 'discard 512k 128k' "
                  "-c 'write -P 9 2900k 200k' -c 'write -P 1 15M 1M' {}",
                  overlay));
  const auto flat = directory_ / "flat";
  must(fmt::format("qemu-img convert -f qcow2 -O raw {} {}", overlay, flat));
  if (std::string(GetParam()) == "qcow2") must(fmt::format("qemu-img resize -q {} 3002368", base));
  const auto content = OverlayContent::open(files_, overlay, base, GetParam());
  ASSERT_TRUE(content) << content.error().message;
  EXPECT_EQ((*content)->bytes(), 16UL << 20U);
  EXPECT_TRUE(read_all(**content) == content_of(flat));
  EXPECT_FALSE((*content)->is_of_base(4096));
  EXPECT_FALSE((*content)->is_of_base(128UL << 10U)) << "zeros were written";
  EXPECT_TRUE((*content)->is_of_base(1UL << 20U));
  EXPECT_TRUE((*content)->is_hole(128UL << 10U));
  EXPECT_TRUE((*content)->is_hole(8UL << 20U)) << "behind the base";
  EXPECT_FALSE((*content)->is_hole(1UL << 20U));
}

INSTANTIATE_TEST_SUITE_P(Bases, RealOverlay, ::testing::Values("raw", "qcow2"));

TEST(OverlayContentTest, OneThatIsShorterThanItsBaseIsRefused) {
  sim::PageFiles files;
  files.put("/base", ByteVector(2UL << 20U));
  const auto overlay = make_overlay(1UL << 20U, "/base", "raw");
  files.put("/overlay", as_bytes(*overlay));
  const auto content = OverlayContent::open(files, "/overlay", "/base", "raw");
  ASSERT_FALSE(content);
  EXPECT_EQ(content.error().code, Errc::unsupported);
}

TEST(OverlayContentTest, TheFileThatItNamesItselfIsNotLookedAt) {
  sim::PageFiles files;
  files.put("/base", ByteVector(1UL << 20U, std::byte{1}));
  files.put("/secret", ByteVector(1UL << 20U, std::byte{2}));
  const auto overlay = make_overlay(1UL << 20U, "/secret", "raw");
  files.put("/overlay", as_bytes(*overlay));
  const auto content = OverlayContent::open(files, "/overlay", "/base", "raw");
  ASSERT_TRUE(content) << content.error().message;
  EXPECT_EQ(read_all(**content), ByteVector(1UL << 20U, std::byte{1}));
}

sys::Task<void> import_into(ImageHost& host, ImportSource source, ImportOptions options, Result<ImageId>& outcome) {
  outcome = co_await import_image(host.runtime(), host.images(), std::move(source), std::move(options));
}

// As an agent makes an image of an instance's disk.
TEST(OverlayContentTest, AsAnImageItSharesWithTheImageThatItIsOnWhatWasNeverWrittenTo) {
  ImageHost host;
  host.page_files().share_content(true);
  const auto base = testing::sample_image(1, 40);
  ASSERT_TRUE(host.receive(base));
  const auto lease = host.images().open(base.id, "the test");
  const auto path = (*lease)->path(Role::disk);
  const auto empty = make_overlay(4UL << 20U, path, "raw");
  host.page_files().put("/overlay", as_bytes(*empty));
  const auto open = [&] { return OverlayContent::open(host.page_files(), "/overlay", path, "raw"); };
  const auto content = open();
  ASSERT_TRUE(content) << content.error().message;

  ImportSource source;
  source.files.push_back({Role::disk, "/overlay", "qcow2"});
  source.files.back().open = [&]() -> Result<std::unique_ptr<Content>> { return std::move(*open()); };
  ImportOptions options;
  options.known = [&](std::uint64_t piece) {
    PieceKnown known{};
    for (std::size_t i = 0; i < known.size(); ++i) {
      const auto block = piece * kPiece_blocks + i;
      if (block * kPage_bytes < (*content)->base_bytes()) known[i] = {lease->get(), block};
    }
    return known;
  };
  options.digest = [&](std::uint64_t piece) -> std::optional<PieceDigest> {
    if (piece >= 40) return std::nullopt;
    return (*lease)->digest(piece);
  };
  Result<ImageId> id;
  host.run(import_into(host, std::move(source), std::move(options), id));
  ASSERT_TRUE(id) << id.error().message;
  ASSERT_TRUE(host.images().find(*id)->complete());
  auto disk = base.file(Role::disk);
  disk.resize(4UL << 20U);
  EXPECT_TRUE(host.read_file(fmt::format("{}/{}/disk", testing::kImages, *id)) == disk);
  EXPECT_GT(host.page_files().shared_bytes(), 1UL << 20U);
}

}  // namespace
}  // namespace godwit::image
