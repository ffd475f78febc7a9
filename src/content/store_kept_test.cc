// What a store's next process finds of what the last one kept.
#include "content/read_back.h"
#include "content/store.h"
#include "sim/page_files.h"
#include "support/pages.h"

#include <gtest/gtest.h>

namespace godwit::content {
namespace {

using testing::changed;
using testing::page_of;

constexpr std::uint64_t kSmall_pages = 1024;  // 16 segments of 64

class StoreKept : public ::testing::Test {
 protected:
  void SetUp() override { restart(); }

  void restart(std::uint64_t pages = kSmall_pages) {
    store_.reset();
    store_ = std::make_unique<Store>(files_, "/store",
                                     StoreLimits{.disk_bytes = pages * kPage_bytes, .index_bytes = 1ULL << 20U},
                                     Store::Begin::kept);
  }
  std::uint64_t verify_all() {
    std::uint64_t held = 0;
    while (const auto more = store_->verify(100)) held += *more;
    return held;
  }
  void keep(const std::string& tenant, std::uint64_t from, std::uint64_t to) {
    for (auto number = from; number < to; ++number) {
      ASSERT_TRUE(store_->append(store_->domain(tenant), page_of(number), fingerprint_of(page_of(number))));
    }
  }
  [[nodiscard]] PageId find(const std::string& tenant, std::uint64_t number) {
    return store_->find(store_->domain(tenant), page_of(number), fingerprint_of(page_of(number)));
  }
  [[nodiscard]] bool reads_back(const std::string& tenant, PageId id, std::uint64_t number) {
    ByteVector read(kPage_bytes);
    return store_->read(store_->domain(tenant), id, read) && read == page_of(number);
  }

  sim::PageFiles files_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreKept, PagesAreReadUnderTheirIdsAndFoundAgainAfterARestart) {
  keep("alice", 0, 640);
  restart();
  EXPECT_TRUE(reads_back("alice", 1, 0));
  EXPECT_TRUE(reads_back("alice", 640, 639));
  EXPECT_EQ(find("alice", 7), 0U) << "was not compared yet";
  EXPECT_EQ(verify_all(), 640U);
  for (std::uint64_t number = 0; number < 640; ++number) {
    EXPECT_EQ(find("alice", number), number + 1);
    EXPECT_TRUE(reads_back("alice", number + 1, number)) << number;
  }
  const auto like = store_->find_similar(store_->domain("alice"), changed(page_of(3), 2, 1), 0);
  EXPECT_EQ(like, 4U);
}

TEST_F(StoreKept, NoIdIsEverUsedAgainThoughTheLastPagesAreLost) {
  keep("alice", 0, 100);  // one group of 64 is whole
  restart();
  EXPECT_EQ(verify_all(), 64U);
  EXPECT_FALSE(reads_back("alice", 65, 64));
  EXPECT_GT(store_->next(), 100U);
  const auto next = store_->next();
  keep("alice", 500, 600);
  EXPECT_EQ(find("alice", 500), next);
  EXPECT_TRUE(reads_back("alice", next, 500));
  EXPECT_TRUE(reads_back("alice", 64, 63)) << "older than what this process has in memory";
  restart();
  EXPECT_EQ(verify_all(), 128U);
  EXPECT_EQ(find("alice", 500), next);
  EXPECT_EQ(find("alice", 0), 1U);
}

TEST_F(StoreKept, TenantsStayApartWhateverTheirNumbersWere) {
  keep("alice", 0, 32);
  keep("bob", 1000, 1032);
  restart();
  (void)store_->domain("carol");
  EXPECT_EQ(verify_all(), 64U);
  EXPECT_EQ(find("alice", 0), 1U);
  EXPECT_EQ(find("bob", 1000), 33U);
  EXPECT_EQ(find("bob", 0), 0U);
  EXPECT_EQ(find("carol", 0), 0U);
  EXPECT_FALSE(reads_back("bob", 1, 0));
}

TEST_F(StoreKept, APageThatHasBecomeAnotherIsHeldNoMore) {
  keep("alice", 0, 64);
  auto content = ByteVector(64 * kPage_bytes);
  const auto file = files_.open("/store/segment-0");
  ASSERT_TRUE(file && (*file)->read_at(0, content));
  content[10 * kPage_bytes + 100] ^= std::byte{1};
  files_.put("/store/segment-0", content);
  restart();
  EXPECT_EQ(verify_all(), 63U);
  EXPECT_EQ(find("alice", 10), 0U);
  EXPECT_EQ(store_->domain_of(11), kNoDomain);
  EXPECT_TRUE(reads_back("alice", 10, 9));
  EXPECT_TRUE(reads_back("alice", 12, 11));
}

TEST_F(StoreKept, WhatIsKeptMeanwhileIsWhatIsFound) {
  keep("alice", 0, 64);
  restart();
  keep("alice", 5, 6);
  const auto newer = find("alice", 5);
  EXPECT_GT(newer, 64U);
  (void)verify_all();
  EXPECT_EQ(find("alice", 5), newer);
  EXPECT_EQ(find("alice", 6), 7U);
}

TEST_F(StoreKept, TheOldestGoFirstOverAllProcesses) {
  for (std::uint64_t process = 0; process < 3; ++process) {
    keep("alice", process * 1000, process * 1000 + 512);
    restart();
  }
  (void)verify_all();
  EXPECT_EQ(find("alice", 0), 0U);
  EXPECT_NE(find("alice", 2511), 0U);
  EXPECT_LE(files_.count(), 2 * 16 + 1);
}

TEST_F(StoreKept, AFileThatIsGoneTakesItsPagesAlone) {
  keep("alice", 0, 192);
  ASSERT_TRUE(files_.remove("/store/segment-1"));
  restart();
  EXPECT_EQ(verify_all(), 128U);
  EXPECT_EQ(find("alice", 100), 0U);
  EXPECT_FALSE(reads_back("alice", 100, 99));
  EXPECT_EQ(find("alice", 0), 1U);
  EXPECT_EQ(find("alice", 191), 192U);
}

TEST_F(StoreKept, AnotherSizeOrAHeadThatCannotBeReadBeginsAnew) {
  keep("alice", 0, 192);
  restart(1ULL << 20U);
  EXPECT_EQ(verify_all(), 0U);
  EXPECT_EQ(store_->next(), 1U);
  restart();
  keep("alice", 0, 192);
  files_.put("/store/head", as_bytes("GWPS"));
  files_.put("/store/something", as_bytes("beside"));
  restart();
  EXPECT_EQ(verify_all(), 0U);
  EXPECT_FALSE(files_.exists("/store/something"));
}

TEST_F(StoreKept, NothingIsFoundOfADiskThatDoesNotRead) {
  keep("alice", 0, 192);
  restart();
  files_.fail_reads(true);
  EXPECT_EQ(verify_all(), 0U);
  files_.fail_reads(false);
  EXPECT_EQ(find("alice", 0), 0U);
  keep("alice", 0, 1);
  EXPECT_NE(find("alice", 0), 0U);
}

}  // namespace
}  // namespace godwit::content
