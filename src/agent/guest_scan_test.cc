#include "agent/guest_scan.h"

#include "sim/page_files.h"
#include "support/pages.h"

#include <gtest/gtest.h>

namespace godwit::agent {
namespace {

using testing::page_of;

constexpr std::size_t kPages = 200;

class Scan : public ::testing::Test {
 protected:
  Scan() {
    EXPECT_TRUE(files_.clear_directory("/proc/7"));
    process_ = files_.create("/proc/7/mem").value();
    for (std::size_t i = 0; i < kPages; ++i) append(memory_, page_of(i));
    write();
  }
  void write() { EXPECT_TRUE(process_->write_at(0, memory_)); }
  std::size_t look_through(GuestScan& scan) {
    const auto kept = scan.advance(kPages);
    EXPECT_TRUE(kept);
    return kept.value_or(0);
  }
  GuestScan scan_of() {
    return {files_.open("/proc/7/mem").value(),
            {{0, 150 * kPage_bytes}, {150 * kPage_bytes, kPages * kPage_bytes}},
            store_,
            domain_,
            images_,
            ""};
  }
  bool holds(ByteView page) { return store_.find(domain_, page, content::fingerprint_of(page)) != 0; }

  sim::PageFiles files_;
  std::unique_ptr<sys::PageFile> process_;
  content::Store store_{files_, "/store", {}};
  content::Library images_{
      [](const std::string&) -> Result<std::unique_ptr<content::Blocks>> { return fail(Errc::not_found, "no image"); }};
  content::Domain domain_{store_.domain("alice")};
  ByteVector memory_;
};

TEST_F(Scan, KeepsWhatTwoLooksInARowHaveFound) {
  auto scan = scan_of();
  EXPECT_EQ(look_through(scan), 0U);
  EXPECT_EQ(look_through(scan), kPages);
  for (std::size_t i = 0; i < kPages; ++i) EXPECT_TRUE(holds(page_of(i))) << i;
  EXPECT_EQ(look_through(scan), 0U) << "kept once";
}

TEST_F(Scan, NeitherZerosNorWhatChangesAllTheTimeIsKept) {
  std::fill_n(memory_.begin(), 10 * kPage_bytes, std::byte{0});
  write();
  auto scan = scan_of();
  for (std::size_t round = 0; round < 3; ++round) {
    const auto other = page_of(1000 + round);
    std::ranges::copy(other, memory_.begin() + 20 * kPage_bytes);
    write();
    (void)look_through(scan);
    EXPECT_FALSE(holds(other));
  }
  EXPECT_EQ(store_.use().pages, kPages - 11);
}

TEST_F(Scan, TwoOfATenantKeepOnce) {
  auto one = scan_of();
  auto other = scan_of();
  (void)look_through(one);
  (void)look_through(other);
  EXPECT_EQ(look_through(one), kPages);
  EXPECT_EQ(look_through(other), 0U);
}

TEST_F(Scan, AProcessThatIsGoneIsAnError) {
  auto scan = scan_of();
  files_.fail_reads(true);
  EXPECT_FALSE(scan.advance(1));
}

}  // namespace
}  // namespace godwit::agent
