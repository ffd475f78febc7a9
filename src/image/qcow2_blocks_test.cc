#include "image/qcow2_blocks.h"

#include "image/qcow2.h"
#include "os/page_files.h"
#include "sim/page_files.h"
#include "support/temp_directory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace godwit::image {
namespace {

using content::Blocks;
constexpr std::uint64_t kCluster = 65'536;

void must(const std::string& command) { ASSERT_EQ(std::system((command + " > /dev/null").c_str()), 0) << command; }

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// All blocks, and that holes read as zeros.
std::string read_all(const Blocks& blocks) {
  std::string all(blocks.count() * kPage_bytes, '\1');
  for (std::uint64_t block = 0; block < blocks.count(); ++block) {
    const auto into = std::as_writable_bytes(std::span(all)).subspan(block * kPage_bytes, kPage_bytes);
    const auto read = blocks.read(block, into);
    EXPECT_TRUE(read) << read.error().message;
    const bool zeros = std::all_of(into.begin(), into.end(), [](std::byte each) { return each == std::byte{0}; });
    EXPECT_TRUE(zeros || !blocks.is_hole(block)) << block;
  }
  return all;
}

// What qemu-img and qemu-io make.
class RealImage : public ::testing::TestWithParam<const char*> {
 protected:
  testing::TempDirectory directory_;
  os::SystemPageFiles files_;
};

TEST_P(RealImage, ReadsAsQemuReadsIt) {
  const auto image = directory_ / "image";
  must(fmt::format("qemu-img create -q -f qcow2 -o {} {} 67112960", GetParam(), image));  // 64 MiB + 4 KiB
  must(
      fmt::format("qemu-io -f qcow2 -c 'write -P 1 0 4k' -c 'write -P 2 1M 200k' -c 'write -P 3 33M 3M' "
                  "-c 'write -z 34M 512k' -c 'write -P 4 67108864 4096' {}",
                  image));
  must(fmt::format("qemu-img convert -f qcow2 -O raw {} {}.raw", image, image));
  const auto blocks = open_blocks(files_, image, "qcow2");
  ASSERT_TRUE(blocks) << blocks.error().message;
  EXPECT_EQ((*blocks)->count(), 16'385U);
  EXPECT_EQ(read_all(**blocks), content_of(image + ".raw"));
  EXPECT_TRUE((*blocks)->is_hole(5000));
  EXPECT_FALSE((*blocks)->is_hole(0));
  // Over clusters' borders at once.
  ByteVector some(100 * kPage_bytes);
  ASSERT_TRUE((*blocks)->read(200, some));
  EXPECT_EQ(as_text(some), content_of(image + ".raw").substr(200 * kPage_bytes, some.size()));
  const auto raw = open_blocks(files_, image + ".raw", "raw");
  ASSERT_TRUE(raw);
  EXPECT_EQ(read_all(**raw), content_of(image + ".raw"));
}

INSTANTIATE_TEST_SUITE_P(Qcow2, RealImage,
                         ::testing::Values("compat=0.10", "compat=1.1", "compat=1.1,cluster_size=4k",
                                           "compat=1.1,cluster_size=2M", "compat=1.1,lazy_refcounts=on"),
                         [](const auto& each) {
                           std::string name = each.param;
                           std::replace_if(name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
                           return name;
                         });

TEST(CompressedImage, ItsBlocksAreUnsupportedAndTheOthersRead) {
  testing::TempDirectory directory;
  os::SystemPageFiles files;
  const auto image = directory / "image";
  must(fmt::format("qemu-img create -q -f raw {}.raw 1M && qemu-io -f raw -c 'write -P 1 0 64k' {}.raw", image, image));
  must(fmt::format("qemu-img convert -c -f raw -O qcow2 {}.raw {}", image, image));
  must(fmt::format("qemu-io -f qcow2 -c 'write -P 2 128k 64k' {}", image));
  const auto blocks = open_blocks(files, image, "qcow2");
  ASSERT_TRUE(blocks) << blocks.error().message;
  ByteVector block(kPage_bytes);
  EXPECT_EQ((*blocks)->read(0, block).error().code, Errc::unsupported);
  EXPECT_FALSE((*blocks)->is_hole(0));
  ASSERT_TRUE((*blocks)->read(32, block));
  EXPECT_EQ(block[0], std::byte{2});
  EXPECT_TRUE((*blocks)->is_hole(64));
}

TEST(UnsupportedImage, IsRefusedWithTheReason) {
  testing::TempDirectory directory;
  os::SystemPageFiles files;
  must(fmt::format("qemu-img create -q -f qcow2 {} 1M", directory / "base"));
  struct Case {
    const char* options;
    const char* reason;
  };
  for (const Case& each : {Case{"extended_l2=on", "extended L2"}, Case{"data_file=data.raw", "another file"},
                           Case{"cluster_size=512", "2^9"}, Case{"backing_file=base,backing_fmt=qcow2", "backing"}}) {
    const auto path = directory / "image";
    must(fmt::format("cd {} && qemu-img create -q -f qcow2 -o {} image 1M", directory.path(), each.options));
    const auto blocks = open_blocks(files, path, "qcow2");
    ASSERT_FALSE(blocks) << each.options;
    EXPECT_EQ(blocks.error().code, Errc::unsupported);
    EXPECT_NE(blocks.error().message.find(each.reason), std::string::npos) << blocks.error().message;
  }
  const auto overlay = make_overlay(1ULL << 30U, directory / "base", "qcow2");
  std::ofstream(directory / "overlay", std::ios::binary) << overlay.value();
  EXPECT_EQ(open_blocks(files, directory / "overlay", "qcow2").error().code, Errc::unsupported);
}

// A qcow2 by hand, to break: header, L1 table at cluster 1, L2 table at cluster 2, data at cluster 3.
class BrokenImage : public ::testing::Test {
 protected:
  BrokenImage() : bytes_(4 * kCluster) {
    put32(0, 0x514649fb);
    put32(4, 3);
    put32(20, 16);
    put64(24, 3 * kCluster);  // the disk's size
    put32(36, 1);
    put64(40, kCluster);
    put32(100, 104);
    put64(kCluster, 2 * kCluster | 1ULL << 63U);
    put64(2 * kCluster, 3 * kCluster | 1ULL << 63U);
    std::fill(bytes_.begin() + 3 * kCluster, bytes_.end(), std::byte{7});
  }
  void put32(std::size_t at, std::uint32_t value) { store_be32(ByteSpan(bytes_).subspan(at), value); }
  void put64(std::size_t at, std::uint64_t value) { store_be64(ByteSpan(bytes_).subspan(at), value); }
  Result<std::unique_ptr<Blocks>> open() {
    files_.put("/image", bytes_);
    return open_blocks(files_, "/image", "qcow2");
  }
  [[nodiscard]] Errc refusal() {
    const auto opened = open();
    return opened ? Errc::internal : opened.error().code;
  }

  ByteVector bytes_;
  sim::PageFiles files_;
  ByteVector block_ = ByteVector(kPage_bytes);
};

TEST_F(BrokenImage, IsSoundBeforeItIsBroken) {
  const auto blocks = open();
  ASSERT_TRUE(blocks) << blocks.error().message;
  EXPECT_EQ((*blocks)->count(), 48U);
  ASSERT_TRUE((*blocks)->read(15, block_));
  EXPECT_EQ(block_, ByteVector(kPage_bytes, std::byte{7}));
  EXPECT_TRUE((*blocks)->is_hole(16));
  EXPECT_EQ((*blocks)->read(48, block_).error().code, Errc::invalid_argument);
  EXPECT_EQ((*blocks)->read(~0ULL, block_).error().code, Errc::invalid_argument);
  EXPECT_EQ((*blocks)->read(0, ByteSpan(block_).first(100)).error().code, Errc::invalid_argument);
  EXPECT_FALSE((*blocks)->is_hole(~0ULL));
}

TEST_F(BrokenImage, WhatIsNoQcow2IsRefused) {
  put32(0, 0x514649fa);
  EXPECT_EQ(refusal(), Errc::invalid_argument);
  bytes_.resize(50);
  EXPECT_EQ(refusal(), Errc::invalid_argument);
  bytes_.clear();
  EXPECT_EQ(refusal(), Errc::invalid_argument);
  EXPECT_EQ(open_blocks(files_, "/image", "vmdk").error().code, Errc::invalid_argument);
  EXPECT_EQ(open_blocks(files_, "/none", "raw").error().code, Errc::not_found);
}

TEST_F(BrokenImage, HugeSizesAndTablesAreRefused) {
  put64(24, ~0ULL);
  EXPECT_EQ(refusal(), Errc::unsupported);
  put64(24, 64ULL << 40U);  // of clusters of 64 KiB: 131,072 entries
  EXPECT_EQ(refusal(), Errc::invalid_argument);
  put32(36, 131'072);
  EXPECT_EQ(refusal(), Errc::invalid_argument) << "the table lies beyond the file";
  put32(20, 12);
  EXPECT_EQ(refusal(), Errc::unsupported) << "a table of 256 MiB";
  put32(20, 63);
  EXPECT_EQ(refusal(), Errc::unsupported);
}

TEST_F(BrokenImage, TablesBesideClustersOrBeyondTheFileAreErrorsAndNeverContent) {
  put64(40, kCluster + 8);
  EXPECT_EQ(refusal(), Errc::invalid_argument);
  put64(40, ~0ULL << 16U);
  EXPECT_EQ(refusal(), Errc::invalid_argument);
  put64(40, kCluster);

  put64(2 * kCluster, 3 * kCluster + 512);
  auto blocks = open();
  ASSERT_TRUE(blocks);
  EXPECT_EQ((*blocks)->read(0, block_).error().code, Errc::io);
  put64(2 * kCluster, 0x00ff'ffff'ffff'0000ULL);
  blocks = open();
  ASSERT_TRUE(blocks);
  ASSERT_TRUE((*blocks)->read(0, block_));
  EXPECT_EQ(block_, ByteVector(kPage_bytes)) << "beyond the end of the file QEMU reads zeros";

  for (const std::uint64_t table : std::vector<std::uint64_t>{2 * kCluster + 512, 0x00ff'ffff'ffff'0000ULL}) {
    put64(kCluster, table);
    blocks = open();
    ASSERT_TRUE(blocks);
    EXPECT_EQ((*blocks)->read(0, block_).error().code, Errc::io) << table;
    EXPECT_FALSE((*blocks)->is_hole(0));
  }
}

TEST_F(BrokenImage, UnknownFeaturesAndVersionsAreRefused) {
  put64(72, 2);
  EXPECT_EQ(refusal(), Errc::invalid_argument) << "corrupt";
  for (const std::uint64_t feature : {4ULL, 16ULL, 32ULL, 1ULL << 63U}) {
    put64(72, feature);
    EXPECT_EQ(refusal(), Errc::unsupported) << feature;
  }
  put64(72, 1 | 8);
  EXPECT_TRUE(open()) << "dirty refcounts and the form of compressed clusters don't matter";
  put32(100, 96);
  EXPECT_EQ(refusal(), Errc::invalid_argument);
  put32(100, 104);
  put32(32, 2);
  EXPECT_EQ(refusal(), Errc::unsupported) << "encrypted";
  put32(32, 0);
  put32(4, 1);
  EXPECT_EQ(refusal(), Errc::unsupported);
}

}  // namespace
}  // namespace godwit::image
