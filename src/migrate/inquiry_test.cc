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

using testing::page_of;

constexpr std::array<std::byte, 32> kKey{std::byte{7}};
constexpr std::uint64_t kBlock = 5ULL << 44U;  // some block of memory, as a place

// Some hosts of the destination's cloud: what they hold is in this host's store as soon as it is asked for.
class Cloud final : public content::Siblings {
 public:
  Cloud(content::Store& store, content::Domain domain) : store_(store), domain_(domain) {}
  void hold(ByteView page) { pages_[content::PageKey(kKey).digest(page)] = ByteVector(page.begin(), page.end()); }

  std::optional<std::array<std::byte, 32>> key_of(const std::string&) const override { return kKey; }
  bool may_know(const std::string&) const override { return !pages_.empty(); }
  sys::Task<std::vector<content::PageId>> bring(std::string, std::vector<content::PageDigest> digests) override {
    std::vector<content::PageId> found;
    for (const auto& each : digests) {
      const auto page = pages_.find(each);
      found.push_back(page == pages_.end()
                          ? 0
                          : store_.append(domain_, page->second, content::fingerprint_of(page->second)).value());
    }
    co_return found;
  }

 private:
  content::Store& store_;
  content::Domain domain_;
  std::map<content::PageDigest, ByteVector> pages_;
};

sys::Task<void> answer_into(Answers& answers, ByteVector asked, std::optional<Result<ByteVector>>& said) {
  auto answered = answers.answer(std::move(asked));
  said = co_await std::move(answered);
}

class Idle final : public sim::Program {};

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
    welcome.key = answers_.begin();
    welcome.connection = answers_.connection();
    inquiry_.begin(welcome);
  }
  ByteVector answer(ByteVector asked) {
    std::optional<Result<ByteVector>> said;
    process_.spawn(answer_into(answers_, std::move(asked), said));
    EXPECT_TRUE(world_.run_until([&] { return said.has_value(); }, Seconds{5}));
    EXPECT_TRUE(said && *said);
    return said && *said ? **said : ByteVector{};
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
    std::optional<Result<ByteVector>> said;
    process_.spawn(answer_into(answers_, ByteVector(size), said));
    EXPECT_TRUE(world_.run_until([&] { return said.has_value(); }, Seconds{5}));
    ASSERT_TRUE(said && !*said) << size;
    EXPECT_EQ(said->error().code, Errc::protocol);
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

}  // namespace
}  // namespace godwit::migrate
