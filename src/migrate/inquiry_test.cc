// The source's questions and the destination's answers, without streams between them.
#include "migrate/inquiry.h"

#include "migrate/answers.h"
#include "sim/host.h"
#include "sim/page_files.h"
#include "support/pages.h"

#include <gtest/gtest.h>

#include <set>

namespace godwit::migrate {
namespace {

using testing::changed;
using testing::page_of;

constexpr CloudKey kKey{std::byte{7}};
constexpr CloudKey kSourceKey{std::byte{8}};
constexpr std::uint64_t kBlock = 5ULL << 44U;  // some block of memory, as a place

// Some hosts of the destination's cloud: what they hold is in this host's store as soon as it is asked for.
class Cloud final : public content::Siblings {
 public:
  Cloud(content::Store& store, content::Domain domain, const CloudKey& key = kKey)
      : store_(store), domain_(domain), key_(key) {}
  bool finds_its_own{false};  // what its host holds is not kept once more
  void hold(ByteView page) { pages_[content::PageKey(key_).digest(page)] = ByteVector(page.begin(), page.end()); }

  std::optional<CloudKey> key_of(const std::string&) const override { return key_; }
  bool may_know(const std::string&) const override { return !pages_.empty(); }
  sys::Task<std::vector<content::PageId>> bring(std::string, std::vector<content::PageDigest> digests) override {
    std::vector<content::PageId> found;
    for (const auto& each : digests) {
      const auto page = pages_.find(each);
      const auto own = page == pages_.end() || !finds_its_own
                           ? 0
                           : store_.find(domain_, page->second, content::fingerprint_of(page->second));
      found.push_back(page == pages_.end() || own != 0
                          ? own
                          : store_.append(domain_, page->second, content::fingerprint_of(page->second)).value());
    }
    co_return found;
  }
  sys::Task<std::vector<content::PageId>> bring_alike(std::string, std::vector<content::Sketch> sketches) override {
    std::vector<content::PageId> found;
    for (const auto& each : sketches) {
      const auto page = std::ranges::find_if(
          pages_, [&](const auto& held) { return content::are_alike(content::sketch_of(held.second), each); });
      const auto equal =
          page == pages_.end() ? 0 : store_.find(domain_, page->second, content::fingerprint_of(page->second));
      found.push_back(page == pages_.end() || equal != 0
                          ? equal
                          : store_.append(domain_, page->second, content::fingerprint_of(page->second)).value());
    }
    co_return found;
  }

 private:
  content::Store& store_;
  content::Domain domain_;
  CloudKey key_;
  std::map<content::PageDigest, ByteVector> pages_;
};

sys::Task<void> say_into(sys::Task<Result<ByteVector>> answering, std::optional<Result<ByteVector>>& said) {
  said = co_await std::move(answering);
}
sys::Task<void> bring_into(sys::Task<std::vector<content::PageId>> bringing,
                           std::optional<std::vector<content::PageId>>& ids) {
  ids = co_await std::move(bringing);
}

class Idle final : public sim::Program {};

class OneBlock final : public content::Blocks {
 public:
  explicit OneBlock(ByteVector content) : content_(std::move(content)) {}
  std::uint64_t count() const override { return 1; }
  Result<> read(std::uint64_t, ByteSpan into) const override {
    std::ranges::copy(content_, into.begin());
    return {};
  }
  bool is_hole(std::uint64_t) const override { return false; }

 private:
  ByteVector content_;
};

struct End {
  sim::PageFiles files;
  content::Store store{files, "/store", {}};
  std::shared_ptr<Rapport> rapport{std::make_shared<Rapport>()};
  End() { rapport->domain = store.domain("alice"); }
};

class Questions : public ::testing::Test {
 protected:
  // More of the stream: a page, or what is none.
  void add_page(ByteView page, std::uint64_t number) {
    append(bytes_, page);
    stretches_.push_back({wire::StretchKind::page, kPage_bytes, kBlock | number});
  }
  void add_other(std::uint32_t size) {
    bytes_.resize(bytes_.size() + size);
    stretches_.push_back({wire::StretchKind::other, size, 0});
  }
  Backlog backlog() const {
    return {ByteView(bytes_).subspan(static_cast<std::size_t>(taken_bytes_)), &stretches_, taken_bytes_,
            taken_stretches_};
  }
  void take(std::size_t stretches) {
    for (; stretches > 0; --stretches) {
      taken_bytes_ += stretches_.front().size_bytes;
      ++taken_stretches_;
      stretches_.pop_front();
    }
  }
  void welcome() {
    ShrinkWelcome welcome;
    welcome.key = answers_.begin(inquiry_.seeking().key());
    welcome.connection = answers_.connection();
    inquiry_.begin(welcome);
    if (inquiry_.seeking().key()) inquiry_.seeking().begin(welcome);
  }
  // This host's cloud, too.
  void welcome_with_cloud_here() {
    departure_.siblings = &cloud_here_;
    departure_.tenant = "alice";
    departure_.frames_version = kFramesVersion;
    encoder_.may_refer_to_others(true);
    welcome();
  }
  Result<ByteVector> said(sys::Task<Result<ByteVector>> answering) {
    std::optional<Result<ByteVector>> outcome;
    process_.spawn(say_into(std::move(answering), outcome));
    EXPECT_TRUE(world_.run_until([&] { return outcome.has_value(); }, Seconds{5}));
    return *outcome;
  }
  ByteVector answer(ByteVector asked) { return said(answers_.answer(std::move(asked))).value(); }
  // What is not held is sought, answered and brought; how many sketches were asked about.
  std::size_t seek() {
    auto sought = inquiry_.seeking().seek();
    const auto count = sought.size() / sizeof(content::Sketch);
    if (count == 0) return 0;
    const auto digests = inquiry_.seeking().answered(said(answers_.answer_alike(std::move(sought))).value());
    EXPECT_TRUE(digests);
    if (!digests || digests->empty()) return count;
    EXPECT_EQ(inquiry_.ready(backlog()).stretches, 0U) << "it waits for what is brought";
    std::optional<std::vector<content::PageId>> ids;
    process_.spawn(bring_into(cloud_here_.bring("alice", *digests), ids));
    EXPECT_TRUE(world_.run_until([&] { return ids.has_value(); }, Seconds{5}));
    inquiry_.seeking().brought(*ids);
    return count;
  }
  // All that waits as one batch, which the destination rebuilds; its size on the wire.
  std::size_t cross() {
    const std::vector<wire::Stretch> stretches(stretches_.begin(), stretches_.end());
    const auto encoded = encoder_.encode(backlog().bytes, stretches, Effort{});
    EXPECT_TRUE(encoded && encoded->taken_stretches == stretches.size());
    const auto decoded = decoder_.decode(encoded->frame);
    EXPECT_TRUE(decoded) << decoded.error().message;
    EXPECT_TRUE(decoded && std::ranges::equal(*decoded, backlog().bytes));
    take(stretches.size());
    return encoded->frame.size();
  }
  bool is_held(ByteView page) const { return encoder_.is_held(page, content::fingerprint_of(page)); }

  sim::World world_{1};
  sim::Process& process_{world_.add_host("b1", "site-b", "10.2.0.1").start("agent", {}, [](sim::Process&) {
    return std::make_unique<Idle>();
  })};
  End source_;
  End destination_;
  Cloud cloud_{destination_.store, destination_.rapport->domain};
  Arrivals arrivals_{destination_.store, destination_.rapport, nullptr, false, "alice", 0, &cloud_};
  Answers answers_{arrivals_};
  Departure departure_{source_.store, source_.rapport, nullptr, {}, {}};
  BatchEncoder encoder_{departure_, 1};
  Inquiry inquiry_{departure_, encoder_, Channel::memory};
  BatchDecoder decoder_{arrivals_, 1};
  Cloud cloud_here_{source_.store, source_.rapport->domain, kSourceKey};
  ByteVector bytes_;
  std::deque<wire::Stretch> stretches_;
  std::uint64_t taken_bytes_{0};
  std::uint64_t taken_stretches_{0};
};

TEST_F(Questions, WhatTheCloudHoldsIsReferredToAndTheRestSent) {
  cloud_.hold(page_of(1));
  cloud_.hold(page_of(3));
  welcome();
  encoder_.may_refer_to_others(true);
  for (std::uint64_t i = 0; i < 5; ++i) add_page(page_of(i), i);
  add_other(9);
  auto asked = inquiry_.look(backlog());
  EXPECT_EQ(asked.size(), 5 * sizeof(content::PageDigest));
  EXPECT_EQ(inquiry_.ready(backlog()).stretches, 0U) << "they wait for the answer";
  const auto held = answer(std::move(asked));
  EXPECT_EQ(held, ByteVector{std::byte{0b01010}});
  ASSERT_TRUE(inquiry_.answered(backlog(), held));
  EXPECT_EQ(inquiry_.ready(backlog()).stretches, 6U);
  for (std::uint64_t i = 0; i < 5; ++i) EXPECT_EQ(is_held(page_of(i)), i == 1 || i == 3) << i;

  const std::vector<wire::Stretch> stretches(stretches_.begin(), stretches_.end());
  const auto encoded = encoder_.encode(bytes_, stretches, Effort{});
  ASSERT_TRUE(encoded);
  BatchDecoder decoder(arrivals_, 1);
  const auto decoded = decoder.decode(encoded->frame);
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_TRUE(std::ranges::equal(*decoded, bytes_));
  EXPECT_EQ(departure_.savings.sibling, 2 * kPage_bytes);
}

TEST_F(Questions, AreAskedOnceOfAPageAndNeverOfZerosOrWhatTheDestinationHas) {
  cloud_.hold(page_of(1));
  welcome();
  add_page(ByteVector(kPage_bytes), 0);
  add_page(page_of(1), 1);
  add_other(9);
  const auto asked = inquiry_.look(backlog());
  EXPECT_EQ(asked.size(), sizeof(content::PageDigest));
  EXPECT_TRUE(inquiry_.look(backlog()).empty()) << "no news";
  ASSERT_TRUE(inquiry_.answered(backlog(), answer(asked)));
  take(3);
  // A later round.
  add_page(page_of(1), 0);
  add_page(page_of(7), 1);
  add_other(9);
  EXPECT_TRUE(inquiry_.look(backlog()).empty());
  EXPECT_EQ(inquiry_.ready(backlog()).stretches, 3U);
  // The content that is held now, at another place.
  encoder_.may_refer_to_others(true);
  add_page(page_of(1), 8);
  add_page(page_of(9), 9);
  add_other(9);
  EXPECT_EQ(inquiry_.look(backlog()).size(), sizeof(content::PageDigest));
  EXPECT_EQ(inquiry_.ready(backlog()).stretches, 4U) << "what stands before the question waits for nothing";
}

TEST_F(Questions, AreNeverAskedOfBlocksOfTheImage) {
  auto image = std::make_shared<content::Library::Volume>();
  image->blocks = std::make_unique<OneBlock>(page_of(5));
  image->index = std::make_unique<content::ImageIndex>(*image->blocks);
  ASSERT_TRUE(image->index->advance(1));
  departure_.image = image;
  cloud_.hold(page_of(5));
  welcome();
  add_page(page_of(5), 0);
  add_other(9);
  EXPECT_TRUE(inquiry_.look(backlog()).empty()) << "comparison has found it, and no digest was made";
  add_page(page_of(6), 1);
  add_other(9);
  EXPECT_EQ(inquiry_.look(backlog()).size(), sizeof(content::PageDigest));
}

TEST_F(Questions, EndWhereTheAnswersAreAlwaysNo) {
  cloud_.hold(page_of(1));
  welcome();
  std::uint64_t asked = 0;
  for (std::uint64_t i = 0; i < 30'000; ++i) {
    add_page(page_of(10 + i), i);
    add_other(1);
    const auto digests = inquiry_.look(backlog());
    if (digests.empty()) break;
    ++asked;
    ASSERT_TRUE(inquiry_.answered(backlog(), ByteVector(1)));
    take(2);
  }
  EXPECT_LT(asked, 25'000U);
  EXPECT_GT(asked, 4'000U);
}

TEST_F(Questions, AnAnswerThatFitsNoQuestionIsRefused) {
  cloud_.hold(page_of(1));
  welcome();
  EXPECT_FALSE(inquiry_.answered(backlog(), ByteVector(1)));
  add_page(page_of(1), 1);
  add_other(9);
  (void)inquiry_.look(backlog());
  EXPECT_FALSE(inquiry_.answered(backlog(), ByteVector(2)));
}

TEST_F(Questions, ACloudThatHoldsNothingIsNotAsked) {
  welcome();
  add_page(page_of(1), 1);
  add_other(9);
  EXPECT_TRUE(inquiry_.look(backlog()).empty());
  EXPECT_EQ(inquiry_.ready(backlog()).stretches, 2U);
}

TEST_F(Questions, OfAnotherSizeAreRefused) {
  cloud_.hold(page_of(1));
  welcome();
  for (const std::size_t size : {0UL, 15UL, 17UL, (content::kLookupLimit + 1) * sizeof(content::PageDigest)}) {
    const auto refused = said(answers_.answer(ByteVector(size)));
    ASSERT_FALSE(refused) << size;
    EXPECT_EQ(refused.error().code, Errc::protocol);
  }
}

// What the destination was said to hold under a number stays, whatever else it was known by.
TEST_F(Questions, APageThatCrossedBeforeGetsANumberOfItsOwn) {
  const auto page = page_of(1);
  const auto old = destination_.store.append(destination_.rapport->domain, page, content::fingerprint_of(page)).value();
  destination_.rapport->theirs.add({1, 0}, old, 1);
  cloud_.hold(page);
  welcome();
  add_page(page, 1);
  add_other(9);
  ASSERT_TRUE(inquiry_.answered(backlog(), answer(inquiry_.look(backlog()))));
  answers_.taken();
  const auto id = destination_.rapport->mine.at({answers_.connection(), 0});
  EXPECT_NE(id, 0U);
  EXPECT_EQ(destination_.rapport->theirs.at({1, 0}), old);
  EXPECT_EQ(destination_.rapport->acknowledged.at(answers_.connection()), 1U);
}

// ---- pages that are alike

TEST_F(Questions, WhatIsLikeAPageThatBothCloudsHoldIsComparedWithIt) {
  cloud_.hold(page_of(1));
  cloud_here_.hold(page_of(1));
  welcome_with_cloud_here();
  add_page(changed(page_of(1), 4, 9), 1);
  add_page(page_of(5), 2);
  add_other(9);
  ASSERT_TRUE(inquiry_.answered(backlog(), answer(inquiry_.look(backlog())), true));
  EXPECT_EQ(seek(), 2U);
  EXPECT_EQ(inquiry_.ready(backlog()).stretches, 3U);
  EXPECT_LT(cross(), kPage_bytes + 300) << "one page and a few words";
  EXPECT_EQ(departure_.savings.similar, kPage_bytes);
  // It stays known: the next one that is like it need not be sought.
  add_page(changed(page_of(1), 4, 10), 8);
  add_other(9);
  ASSERT_TRUE(inquiry_.answered(backlog(), answer(inquiry_.look(backlog())), true));
  EXPECT_EQ(seek(), 0U);
  EXPECT_LT(cross(), 300U);
}

TEST_F(Questions, WhatOnlyTheDestinationsCloudHoldsIsOfNoUse) {
  cloud_.hold(page_of(1));
  welcome_with_cloud_here();
  add_page(changed(page_of(1), 4, 9), 1);
  add_other(9);
  ASSERT_TRUE(inquiry_.answered(backlog(), answer(inquiry_.look(backlog())), true));
  EXPECT_EQ(seek(), 1U);
  EXPECT_EQ(inquiry_.ready(backlog()).stretches, 2U);
  EXPECT_GT(cross(), kPage_bytes);
  answers_.taken();
  EXPECT_FALSE(destination_.rapport->acknowledged.contains(answers_.connection() + 1))
      << "the destination does not refer to what the source may lack";
}

// Its guests are scanned: what is newest here and like the page is the page itself, which never crossed.
TEST_F(Questions, WhatCrossedBeforeIsFoundAgainBehindWhatIsNewerHere) {
  const auto before = page_of(1);
  const auto there =
      destination_.store.append(destination_.rapport->domain, before, content::fingerprint_of(before)).value();
  const auto here = source_.store.append(source_.rapport->domain, before, content::fingerprint_of(before)).value();
  destination_.rapport->theirs.add({0, 0}, there, 1);
  source_.rapport->mine.add({0, 0}, here, 1);
  source_.rapport->acknowledged[0] = 1;
  const auto now = changed(before, 4, 9);
  ASSERT_TRUE(source_.store.append(source_.rapport->domain, now, content::fingerprint_of(now)));
  cloud_.hold(before);
  cloud_here_.hold(before);
  cloud_here_.finds_its_own = true;
  welcome_with_cloud_here();
  add_page(now, 1);
  add_other(9);
  ASSERT_TRUE(inquiry_.answered(backlog(), answer(inquiry_.look(backlog())), true));
  EXPECT_EQ(seek(), 1U);
  EXPECT_LT(cross(), 300U);
  EXPECT_EQ(destination_.rapport->theirs.at({0, 0}), there) << "and keeps its number";
}

TEST_F(Questions, NothingIsSoughtWhereTimeIsShortOrTheOtherSideIsOlderOrTheEffortIsLess) {
  cloud_.hold(page_of(1));
  cloud_here_.hold(page_of(1));
  welcome_with_cloud_here();
  add_page(changed(page_of(1), 4, 9), 1);
  add_other(9);
  ASSERT_TRUE(inquiry_.answered(backlog(), answer(inquiry_.look(backlog())), false));
  EXPECT_EQ(seek(), 0U);
  EXPECT_EQ(inquiry_.ready(backlog()).stretches, 2U);
  EXPECT_TRUE(inquiry_.seeking().key().has_value());
  departure_.frames_version = 1;
  EXPECT_FALSE(inquiry_.seeking().key().has_value());
  departure_.frames_version = kFramesVersion;
  departure_.effort = Effort{true, false, 0};
  EXPECT_FALSE(inquiry_.seeking().key().has_value());
}

TEST_F(Questions, SeekingEndsWhereNothingIsOfUse) {
  cloud_.hold(page_of(1));
  welcome_with_cloud_here();
  std::size_t sought = 0;
  for (std::uint64_t i = 0; i < 8'000; ++i) {
    add_page(page_of(100'000 + i), i);
    add_other(1);
    (void)inquiry_.look(backlog());
    ASSERT_TRUE(inquiry_.answered(backlog(), ByteVector(1), true));
    auto sketches = inquiry_.seeking().seek();
    if (sketches.empty()) break;
    ++sought;
    const auto nothing = inquiry_.seeking().answered(ByteVector(1));
    ASSERT_TRUE(nothing && nothing->empty());
    take(2);
  }
  EXPECT_LT(sought, 6'000U);
  EXPECT_GT(sought, 1'000U);
}

TEST_F(Questions, AnswersThatFitNothingThatWasSoughtAreRefused) {
  cloud_.hold(page_of(1));
  welcome_with_cloud_here();
  EXPECT_FALSE(inquiry_.seeking().answered(ByteVector(1)));
  add_page(changed(page_of(1), 4, 9), 1);
  add_other(9);
  ASSERT_TRUE(inquiry_.answered(backlog(), answer(inquiry_.look(backlog())), true));
  ASSERT_FALSE(inquiry_.seeking().seek().empty());
  EXPECT_FALSE(inquiry_.seeking().answered(ByteVector(2)));
  for (const std::size_t size : {0UL, 7UL, 9UL, (content::kSeekLimit + 1) * sizeof(content::Sketch)}) {
    EXPECT_FALSE(said(answers_.answer_alike(ByteVector(size)))) << size;
  }
}

TEST_F(Questions, ASourceWithoutAKeyMayNotSeek) {
  cloud_.hold(page_of(1));
  welcome();
  EXPECT_FALSE(said(answers_.answer_alike(ByteVector(sizeof(content::Sketch), std::byte{1}))));
}

}  // namespace
}  // namespace godwit::migrate
