#include "image/kernel_blocks.h"

#include "sim/page_files.h"
#include "support/pages.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

namespace godwit::image {
namespace {

using testing::page_of;

constexpr std::size_t kPages = 40;
constexpr std::size_t kSetup_bytes = 5UL * 512;
constexpr std::size_t kPayloadOffset = 0x100;

ByteVector content() {
  ByteVector bytes;
  for (std::size_t i = 0; i < kPages; ++i) append(bytes, page_of(i % 7));
  bytes.resize(bytes.size() + 100);  // a last block that is not whole
  return bytes;
}

ByteVector packed(ByteView bytes, int (*add_filter)(archive*)) {
  ByteVector out(bytes.size() * 2 + 65536);
  std::size_t used = 0;
  auto* const writer = archive_write_new();
  archive_write_set_format_raw(writer);
  add_filter(writer);
  archive_write_set_bytes_per_block(writer, 0);
  EXPECT_EQ(archive_write_open_memory(writer, out.data(), out.size(), &used), ARCHIVE_OK);
  auto* const entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_write_header(writer, entry);
  archive_write_data(writer, bytes.data(), bytes.size());
  archive_entry_free(entry);
  archive_write_close(writer);
  archive_write_free(writer);
  out.resize(used);
  return out;
}

void store_le(ByteVector& bytes, std::size_t at, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) bytes[at + i] = static_cast<std::byte>(value >> (8 * i));
}

ByteVector kernel(const ByteVector& payload, std::size_t unpacked_bytes) {
  ByteVector file(kSetup_bytes + kPayloadOffset);
  store_le(file, 0x1F1, 4, 1);
  store_le(file, 0x202, 0x53726448, 4);
  store_le(file, 0x206, 0x020F, 2);
  store_le(file, 0x248, kPayloadOffset, 4);
  store_le(file, 0x24C, payload.size() + 4, 4);
  append(file, payload);
  file.resize(file.size() + 4);
  store_le(file, file.size() - 4, unpacked_bytes, 4);
  append(file, page_of(99));  // more of the file: not of the payload
  return file;
}

class KernelBlocks : public ::testing::Test {
 protected:
  KernelBlocks() { EXPECT_TRUE(files_.clear_directory("/unpacked")); }
  Result<std::unique_ptr<content::Blocks>> open(const ByteVector& file) {
    files_.put("/vmlinuz", file);
    return open_kernel_blocks(files_, "/vmlinuz", "/unpacked/kernel");
  }
  sim::PageFiles files_;
};

TEST_F(KernelBlocks, AreWhatThePayloadUnpacksTo) {
  const auto whole = content();
  for (const auto filter : {&archive_write_add_filter_gzip, &archive_write_add_filter_lz4, &archive_write_add_filter_xz,
                            &archive_write_add_filter_zstd}) {
    const auto blocks = open(kernel(packed(whole, filter), whole.size()));
    ASSERT_TRUE(blocks) << blocks.error().message;
    ASSERT_EQ((*blocks)->count(), kPages);
    for (const std::size_t block : {0UL, 1UL, kPages - 1, 7UL}) {
      ByteVector page(kPage_bytes);
      ASSERT_TRUE((*blocks)->read(block, page));
      EXPECT_EQ(page, page_of(block % 7)) << block;
    }
    ByteVector two(2 * kPage_bytes);
    EXPECT_FALSE((*blocks)->read(kPages - 1, two));
  }
}

TEST_F(KernelBlocks, OfAPayloadThatEndsBeforeItShouldAreUnsupported) {
  const auto whole = content();
  const auto blocks = open(kernel(packed(whole, &archive_write_add_filter_zstd), whole.size() * 2));
  ASSERT_TRUE(blocks);
  ByteVector page(kPage_bytes);
  EXPECT_TRUE((*blocks)->read(0, page));
  const auto beyond = (*blocks)->read(kPages + 5, page);
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().code, Errc::unsupported);
  EXPECT_FALSE((*blocks)->read(kPages + 5, page));
}

TEST_F(KernelBlocks, OfAnythingElseThereAreNone) {
  const auto whole = content();
  auto other = kernel(whole, whole.size());  // not packed
  EXPECT_FALSE(open(other));
  other = kernel(packed(whole, &archive_write_add_filter_gzip), whole.size());
  auto outside = other;
  store_le(outside, 0x24C, 0x7FFFFFFF, 4);
  EXPECT_FALSE(open(outside));
  auto large = kernel(packed(whole, &archive_write_add_filter_gzip), 0xFFFFFFFF);
  EXPECT_FALSE(open(large));
  auto old = other;
  store_le(old, 0x206, 0x0207, 2);
  EXPECT_FALSE(open(old));
  for (const std::size_t size : {0UL, 100UL, 0x250UL, kSetup_bytes}) {
    EXPECT_FALSE(open(ByteVector(other.begin(), other.begin() + static_cast<std::ptrdiff_t>(size)))) << size;
  }
  EXPECT_FALSE(open_kernel_blocks(files_, "/none", "/unpacked/kernel"));
}

}  // namespace
}  // namespace godwit::image
