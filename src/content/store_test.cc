#include "content/store.h"

#include "sim/page_files.h"
#include "support/pages.h"

#include <gtest/gtest.h>

#include <map>
#include <tuple>

namespace godwit::content {
namespace {

using testing::changed;
using testing::page_of;

constexpr std::uint64_t kSmall_pages = 1024;  // 16 segments of 64

class Stored : public ::testing::Test {
 protected:
  PageId keep(Domain domain, const ByteVector& page) {
    const auto id = store_.append(domain, page, fingerprint_of(page));
    EXPECT_TRUE(id) << id.error().message;
    return id.value_or(0);
  }
  // Pages `from` up to `to` of the tests' own.
  void keep_pages(std::uint64_t from, std::uint64_t to) {
    for (auto number = from; number < to; ++number) ASSERT_NE(keep(tenant_, page_of(number)), 0U);
  }
  [[nodiscard]] PageId find(Domain domain, const ByteVector& page) const {
    return store_.find(domain, page, fingerprint_of(page));
  }
  [[nodiscard]] bool reads_back(PageId id, const ByteVector& page) const {
    ByteVector read(kPage_bytes);
    return store_.read(tenant_, id, read) && read == page;
  }

  sim::PageFiles files_;
  Store store_{files_, "/store", {.disk_bytes = kSmall_pages * kPage_bytes, .index_bytes = 1ULL << 20U}};
  Domain tenant_{store_.domain("alice")};
};

TEST_F(Stored, APageIsFoundAndReadWhetherItIsStillInMemoryOrOnDisk) {
  keep_pages(0, 1000);
  EXPECT_EQ(store_.next(), 1001U);
  for (std::uint64_t number = 0; number < 1000; ++number) {
    const auto page = page_of(number);
    EXPECT_EQ(find(tenant_, page), number + 1);
    EXPECT_TRUE(reads_back(number + 1, page)) << number;
  }
  EXPECT_EQ(find(tenant_, page_of(5000)), 0U);
  EXPECT_GT(files_.reads(), 0U);
}

TEST_F(Stored, PagesThatAreAskedForInTheirOrderAreReadAhead) {
  keep_pages(0, 1000);
  for (std::uint64_t number = 0; number < 320; ++number) EXPECT_TRUE(reads_back(number + 1, page_of(number)));
  EXPECT_LT(files_.reads(), 40U);
}

TEST_F(Stored, NothingOfATenantIsFoundOrReadFromAnother) {
  const auto page = page_of(1);
  const auto id = keep(tenant_, page);
  const auto mallory = store_.domain("mallory");
  ASSERT_NE(mallory, tenant_);
  EXPECT_EQ(store_.domain("alice"), tenant_);
  EXPECT_EQ(find(mallory, page), 0U);
  EXPECT_EQ(store_.find_similar(mallory, page, 1), 0U);
  ByteVector read(kPage_bytes);
  const auto done = store_.read(mallory, id, read);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::not_found);
  const auto hers = keep(mallory, page);
  EXPECT_EQ(find(mallory, page), hers);
  EXPECT_EQ(find(tenant_, page), id) << "the same content in two domains is two pages";
}

TEST_F(Stored, TenantsThatTakeTurnsStayApart) {
  const auto bob = store_.domain("bob");
  for (std::uint64_t number = 0; number < 300; ++number) keep(number % 3 == 0 ? bob : tenant_, page_of(number));
  ByteVector read(kPage_bytes);
  for (std::uint64_t number = 0; number < 300; ++number) {
    EXPECT_EQ(store_.read(bob, number + 1, read).has_value(), number % 3 == 0) << number;
    EXPECT_EQ(store_.read(tenant_, number + 1, read).has_value(), number % 3 != 0) << number;
  }
}

TEST_F(Stored, MoreTenantsThanCanBeToldApartKeepNothing) {
  for (int i = 0; i < 65'534; ++i) ASSERT_NE(store_.domain(std::to_string(i)), kNoDomain);
  const auto many = store_.domain("one more");
  EXPECT_EQ(many, kNoDomain);
  const auto page = page_of(1);
  const auto kept = store_.append(many, page, fingerprint_of(page));
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().code, Errc::exhausted);
  EXPECT_EQ(find(many, page), 0U);
  ByteVector read(kPage_bytes);
  EXPECT_FALSE(store_.read(many, 1, read));
}

TEST_F(Stored, AtTheLimitTheOldestGoAndTheNewestStay) {
  keep_pages(0, 3 * kSmall_pages);
  const auto use = store_.use();
  EXPECT_LE(use.disk_bytes, kSmall_pages * kPage_bytes);
  EXPECT_GE(use.pages, kSmall_pages * 15 / 16);
  EXPECT_EQ(use.pages + use.evicted_pages, 3 * kSmall_pages);
  EXPECT_LE(files_.count(), 16U);
  EXPECT_EQ(find(tenant_, page_of(0)), 0U);
  EXPECT_FALSE(reads_back(1, page_of(0)));
  for (auto number = use.evicted_pages; number < 3 * kSmall_pages; ++number) {
    EXPECT_EQ(find(tenant_, page_of(number)), number + 1);
  }
}

TEST_F(Stored, WhatIsPinnedStaysUntilThePinGoes) {
  keep_pages(0, 200);
  auto pin = store_.pin(140);  // in the third segment
  for (std::uint64_t number = 200;; ++number) {
    const auto page = page_of(number);
    const auto id = store_.append(tenant_, page, fingerprint_of(page));
    if (id) continue;
    EXPECT_EQ(id.error().code, Errc::exhausted);
    EXPECT_GE(number, kSmall_pages - 64);
    break;
  }
  EXPECT_TRUE(reads_back(140, page_of(139)));
  EXPECT_FALSE(reads_back(1, page_of(0))) << "what lies before the pin went";
  pin.reset();
  EXPECT_NE(keep(tenant_, page_of(9'999)), 0U);
  EXPECT_FALSE(reads_back(140, page_of(139)));
}

TEST_F(Stored, AFullDiskTakesTheOldestAndThenRefuses) {
  keep_pages(0, 200);
  files_.fill_disk(true);
  std::uint64_t number = 200;
  Result<PageId> id{1};
  while (id) {
    const auto page = page_of(number++);
    id = store_.append(tenant_, page, fingerprint_of(page));
  }
  EXPECT_EQ(id.error().code, Errc::exhausted);
  EXPECT_GT(store_.use().evicted_pages, 0U) << "room was made where there was something to give up";
  const auto next = store_.next();
  for (auto held = store_.use().evicted_pages + 1; held < next; ++held)
    EXPECT_TRUE(reads_back(held, page_of(held - 1)));
  files_.fill_disk(false);
  EXPECT_EQ(keep(tenant_, page_of(next - 1)), next);
  EXPECT_TRUE(reads_back(next, page_of(next - 1)));
}

TEST_F(Stored, ADiskThatFailsCostsWhatItHoldsAndNoFalseAnswer) {
  keep_pages(0, 1000);
  files_.fail_reads(true);
  EXPECT_EQ(find(tenant_, page_of(3)), 0U);
  ByteVector read(kPage_bytes);
  EXPECT_EQ(store_.read(tenant_, 4, read).error().code, Errc::io);
  EXPECT_EQ(find(tenant_, page_of(999)), 1000U) << "the newest are in memory";
  files_.fail_reads(false);
  EXPECT_EQ(find(tenant_, page_of(3)), 4U);
}

TEST_F(Stored, AFingerprintThatLiesFindsNothing) {
  const auto page = page_of(1);
  keep(tenant_, page);
  EXPECT_EQ(store_.find(tenant_, page_of(2), fingerprint_of(page)), 0U);
}

TEST_F(Stored, APageWithAFewWordsChangedIsFoundAsSimilar) {
  keep_pages(0, 200);
  int found = 0;
  for (std::uint64_t number = 0; number < 200; ++number) {
    const auto like = store_.find_similar(tenant_, changed(page_of(number), 8, number), 1);
    found += like == number + 1 ? 1 : 0;
    EXPECT_TRUE(like == 0 || like == number + 1);
  }
  EXPECT_GE(found, 180);
  EXPECT_EQ(store_.find_similar(tenant_, page_of(9'999), 1), 0U);
  EXPECT_EQ(store_.find_similar(tenant_, ByteVector(kPage_bytes), 1), 0U) << "zeros are like nothing";
}

TEST_F(Stored, WhatPagesAreFoundByIsListedForEachTenant) {
  const auto other = store_.domain("bob");
  std::map<std::tuple<Domain, std::size_t, std::uint32_t>, int> expected;
  for (std::uint64_t number = 0; number < 1000; ++number) {
    const auto page = page_of(number);
    const auto domain = number % 3 == 0 ? other : tenant_;
    EXPECT_TRUE(store_.append(domain, page, fingerprint_of(page)));
    const auto sketch = sketch_of(page);
    for (std::size_t place = 0; place < kSuperFeatures; ++place) expected[{domain, place, sketch[place]}] = 1;
  }
  std::map<std::tuple<Domain, std::size_t, std::uint32_t>, int> seen;
  for (std::size_t place = 0; place < store_.likeness_places(); ++place) {
    std::vector<Store::Likeness> there;
    store_.list_likenesses(place, there);
    EXPECT_LE(there.size(), 9U);
    for (const auto& each : there) ++seen[{each.domain, each.place, each.feature}];
  }
  EXPECT_EQ(seen, expected);
}

TEST_F(Stored, TheNewestVersionOfAPageIsTheOneThatIsSimilar) {
  const auto page = page_of(1);
  const auto old = keep(tenant_, page);
  const auto newer = keep(tenant_, changed(page, 1, 7));
  EXPECT_EQ(store_.find_similar(tenant_, changed(page, 1, 8), 1), newer);
  EXPECT_EQ(store_.find_similar(tenant_, changed(page, 1, 8), newer + 1), 0U) << "no older one than asked for";
  EXPECT_NE(old, newer);
}

TEST_F(Stored, WhatAnotherProcessLeftInTheDirectoryGoes) {
  sim::PageFiles files;
  files.put("/old/segment-77", as_bytes("left"));
  const Store fresh(files, "/old", {});
  EXPECT_EQ(files.count(), 0U);
}

TEST(StoreIndex, StaysWithin28BytesAPageWhateverTheNumberAndWithinItsLimit) {
  sim::PageFiles files;
  constexpr std::uint64_t kIndex_bytes = 6ULL << 20U;
  Store store(files, "/store", {.disk_bytes = 1ULL << 40U, .index_bytes = kIndex_bytes});
  const auto domain = store.domain("alice");
  ByteVector page = page_of(0);
  for (std::uint64_t number = 1; number <= 220'000; ++number) {
    // Cheaper than pages of their own, and as different for a sketch.
    for (std::size_t at = 0; at < kPage_bytes; at += 8) {
      store_be64(ByteSpan(page).subspan(at), (load_be64(ByteView(page).subspan(at)) ^ number) * 0x9e3779b97f4a7c15ULL);
    }
    ASSERT_TRUE(store.append(domain, page, fingerprint_of(page)));
    if (number % 20'000 != 0) continue;
    const auto use = store.use();
    EXPECT_LE(use.index_bytes, 28 * use.pages) << use.pages;
    EXPECT_LE(use.index_bytes, kIndex_bytes);
  }
  EXPECT_GT(store.use().evicted_pages, 0U) << "the index's limit forgets the oldest";
}

}  // namespace
}  // namespace godwit::content
