#include "content/directory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace godwit::content {
namespace {

PageDigest digest_of(std::uint64_t number) {
  PageDigest digest;
  for (const std::size_t half : {0, 8}) {  // splitmix64
    std::uint64_t x = (2 * number + half / 8 + 1) * 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
    store_be64(ByteSpan(digest).subspan(half, 8), x ^ (x >> 31U));
  }
  return digest;
}

std::vector<std::string> hosts(int count) {
  std::vector<std::string> names(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) names[i] = "host-" + std::to_string(i);
  return names;
}

constexpr std::uint64_t kDigests = 20'000;

TEST(Ring, GivesEachMemberItsShare) {
  const Ring ring(hosts(8));
  std::map<std::string, int> owned;
  for (std::uint64_t i = 0; i < kDigests; ++i) ++owned[ring.owner_of(digest_of(i))];
  ASSERT_EQ(owned.size(), 8U);
  for (const auto& [name, count] : owned) {
    EXPECT_GT(count, kDigests / 8 * 6 / 10) << name;
    EXPECT_LT(count, kDigests / 8 * 14 / 10) << name;
  }
}

TEST(Ring, WhenAMemberComesOnlyItsOwnEntriesMoveAndWhenItGoesTheyMoveBack) {
  const Ring before(hosts(8));
  const Ring after(hosts(9));
  std::uint64_t moved = 0;
  for (std::uint64_t i = 0; i < kDigests; ++i) {
    const auto digest = digest_of(i);
    if (before.owner_of(digest) == after.owner_of(digest)) continue;
    ++moved;
    EXPECT_EQ(after.owner_of(digest), "host-8");
  }
  EXPECT_LT(moved, kDigests / 9 * 14 / 10);
  EXPECT_GT(moved, kDigests / 9 * 6 / 10);
}

TEST(Ring, IsTheSameForEveryHostWhateverTheOrderInWhichItHeardOfThem) {
  auto names = hosts(5);
  const Ring one(names);
  std::reverse(names.begin(), names.end());
  names.push_back("host-2");
  const Ring other(names);
  EXPECT_EQ(one.members(), other.members());
  for (std::uint64_t i = 0; i < 1000; ++i) EXPECT_EQ(one.owner_of(digest_of(i)), other.owner_of(digest_of(i)));
  // Hosts of other versions must agree too.
  EXPECT_EQ(one.owner_of(PageDigest{}), "host-0");
}

TEST(Ring, OfOneOwnsAllAndOfNoneNothing) {
  const Ring one({"a"});
  EXPECT_EQ(one.owner_of(digest_of(1)), "a");
  EXPECT_TRUE(Ring().empty());
  EXPECT_TRUE(Ring(std::vector<std::string>{}).empty());
}

TEST(Holdings, KnowThePageOfADigestUntilItIsEvicted) {
  Holdings held(100'000);
  for (PageId id = 1; id <= 1000; ++id) held.add(digest_of(id), id);
  for (PageId id = 1; id <= 1000; ++id) EXPECT_EQ(held.find(digest_of(id)), id);
  EXPECT_EQ(held.find(digest_of(5000)), 0U);
  held.forget_before(400);
  for (PageId id = 1; id <= 1000; ++id) EXPECT_EQ(held.find(digest_of(id)), id < 400 ? 0 : id);
  EXPECT_EQ(held.size(), 601U);
  held.forget_before(10);
  EXPECT_EQ(held.find(digest_of(100)), 0U) << "what was forgotten does not come back";
}

TEST(Holdings, ADigestsNewestPageIsTheOne) {
  Holdings held(100);
  held.add(digest_of(1), 7);
  held.add(digest_of(1), 9);
  EXPECT_EQ(held.find(digest_of(1)), 9U);
  held.add(digest_of(2), 8);
  EXPECT_EQ(held.find(digest_of(2)), 0U) << "out of order: not taken";
  held.forget_before(9);
  EXPECT_EQ(held.find(digest_of(1)), 9U);
}

TEST(Holdings, AWalkOverAllPlacesSeesEachDigestThatIsHeldOnce) {
  Holdings held(100'000);
  std::map<PageDigest, int> expected;
  for (PageId id = 1; id <= 10'000; ++id) held.add(digest_of(id), id);
  held.forget_before(2001);
  for (PageId id = 2001; id <= 10'000; ++id) expected[digest_of(id)] = 1;
  std::map<PageDigest, int> seen;
  for (std::size_t place = 0; place < held.places(); ++place) {
    std::vector<PageDigest> there;
    held.list(place, there);
    EXPECT_LE(there.size(), 9U);
    for (const auto& each : there) ++seen[each];
  }
  EXPECT_EQ(seen, expected);
}

TEST(Holdings, DigestsThatDifferInOneBitAreTwo) {
  Holdings held(1000);
  const auto digest = digest_of(1);
  held.add(digest, 1);
  for (std::size_t bit = 0; bit < 128; ++bit) {
    auto other = digest;
    other[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    EXPECT_EQ(held.find(other), 0U) << bit;
  }
}

TEST(Holdings, AtTheirLimitTheOldestGoAndMemoryStays) {
  Holdings held(300'000);
  for (PageId id = 1; id <= 1'000'000; ++id) {
    held.add(digest_of(id), id);
    if (id % 100'000 != 0) continue;
    EXPECT_LE(held.bytes(), 24 * held.size() + 100'000) << id;
  }
  EXPECT_EQ(held.size(), 300'000U);
  EXPECT_EQ(held.find(digest_of(700'000)), 0U);
  int lost = 0;  // to entries whose digests begin alike
  for (PageId id = 700'001; id <= 1'000'000; ++id) {
    const auto found = held.find(digest_of(id));
    EXPECT_TRUE(found == id || found == 0);
    lost += found == 0 ? 1 : 0;
  }
  EXPECT_LE(lost, 100);
}

TEST(Holdings, IdsFarApartForgetTheOldestAndNeverLie) {
  Holdings held(1000);
  held.add(digest_of(1), 1);
  held.add(digest_of(2), 1ULL << 24U);
  held.add(digest_of(3), 1ULL << 40U);
  EXPECT_EQ(held.find(digest_of(1)), 0U);
  EXPECT_EQ(held.find(digest_of(2)), 0U);
  EXPECT_EQ(held.find(digest_of(3)), 1ULL << 40U);
}

Hint hint(std::uint64_t number) { return hint_of(digest_of(number)); }

TEST(OwnerTable, KnowsTheLastHolder) {
  OwnerTable owned(1000);
  EXPECT_EQ(owned.find(hint(1)), 0U);
  owned.add(hint(1), 3);
  owned.add(hint(1), 4);
  EXPECT_EQ(owned.find(hint(1)), 4U);
  EXPECT_EQ(owned.size(), 1U);
  owned.forget(hint(1), 3);
  EXPECT_EQ(owned.find(hint(1)), 4U) << "another holds it";
  owned.forget(hint(1), 4);
  EXPECT_EQ(owned.find(hint(1)), 0U);
  owned.add(hint(1), 5);
  EXPECT_EQ(owned.find(hint(1)), 5U);
  owned.add(hint(2), OwnerTable::kMostHosts + 1);
  EXPECT_EQ(owned.find(hint(2)), 0U) << "a host of a number that it can't tell";
}

TEST(OwnerTable, AMemberThatDepartedIsNoAnswer) {
  OwnerTable owned(10'000);
  for (std::uint64_t i = 0; i < 9000; ++i) owned.add(hint(i), static_cast<HostNumber>(1 + i % 3));
  owned.drop(2);
  EXPECT_EQ(owned.size(), 6000U);
  for (std::uint64_t i = 0; i < 9000; ++i) EXPECT_EQ(owned.find(hint(i)), i % 3 == 1 ? 0U : 1 + i % 3);
}

TEST(OwnerTable, AtItsLimitTheOldestGoAndWhatIsToldAgainStays) {
  OwnerTable owned(400'000);
  for (std::uint64_t i = 0; i < 2'000'000; ++i) {
    owned.add(hint(i), static_cast<HostNumber>(1 + i % OwnerTable::kMostHosts));
    if (i % 100'000 == 0) owned.add(hint(7), 5);
    if (i % 200'000 != 199'999) continue;
    EXPECT_LE(owned.bytes(), 9 * owned.size() + 10'000) << i;
  }
  EXPECT_LE(owned.size(), 400'000U);
  EXPECT_GE(owned.size(), 399'000U);
  EXPECT_EQ(owned.find(hint(1'500'000)), 0U);
  EXPECT_EQ(owned.find(hint(7)), 5U);
  int lost = 0;  // to digests that begin alike
  for (std::uint64_t i = 1'601'000; i < 2'000'000; ++i) {
    lost += owned.find(hint(i)) == 1 + i % OwnerTable::kMostHosts ? 0 : 1;
  }
  EXPECT_LE(lost, 200);
}

TEST(OwnerTable, APageWithItsSketchTakesNoMoreThanThreeEntries) {
  constexpr std::uint64_t kPages = 300'000;
  OwnerTable digests(1U << 20U);
  OwnerTable tags(2U << 20U);
  for (std::uint64_t i = 0; i < kPages; ++i) {
    digests.add(hint(i), 1);
    for (const std::size_t half : {0, 8}) tags.add(hint_of(load_be64(ByteView(digest_of(~i)).subspan(half))), 1);
  }
  EXPECT_LE(digests.bytes() + tags.bytes(), 27 * kPages);
}

}  // namespace
}  // namespace godwit::content
