#include "migrate/rapport.h"

#include "migrate/rapport_file.h"
#include "sim/page_files.h"
#include "support/pages.h"

#include <gtest/gtest.h>

#include <random>

namespace godwit::migrate {
namespace {

TEST(Crossed, PagesAreFoundByIdAndByNumber) {
  Crossed crossed;
  EXPECT_TRUE(crossed.empty());
  crossed.add({1, 0}, 100, 5);
  crossed.add({1, 5}, 105, 1);  // goes on
  crossed.add({1, 6}, 200, 2);
  crossed.add({2, 0}, 106, 3);  // another's
  EXPECT_EQ(crossed.at({1, 0}), 100U);
  EXPECT_EQ(crossed.at({1, 5}), 105U);
  EXPECT_EQ(crossed.at({1, 7}), 201U);
  EXPECT_EQ(crossed.at({1, 8}), 0U);
  EXPECT_EQ(crossed.at({2, 2}), 108U);
  EXPECT_EQ(crossed.at({2, 3}), 0U);
  EXPECT_EQ(crossed.at({0, 0}), 0U);
  EXPECT_EQ(crossed.of(105), (Numbered{1, 5}));
  EXPECT_EQ(crossed.of(106), (Numbered{2, 0}));
  EXPECT_EQ(crossed.of(99), std::nullopt);
  EXPECT_EQ(crossed.of(109), std::nullopt);
  EXPECT_EQ(crossed.of(202), std::nullopt);
}

TEST(Crossed, WhatIsForgottenIsNotFoundEitherWay) {
  Crossed crossed;
  crossed.add({1, 0}, 100, 10);
  crossed.add({1, 10}, 200, 10);
  crossed.add({2, 0}, 300, 10);
  crossed.forget_from({1, 4});
  EXPECT_EQ(crossed.at({1, 3}), 103U);
  EXPECT_EQ(crossed.at({1, 4}), 0U);
  EXPECT_EQ(crossed.of(104), std::nullopt);
  EXPECT_EQ(crossed.of(200), std::nullopt);
  EXPECT_EQ(crossed.at({2, 9}), 309U);
  crossed.add({1, 4}, 400, 1);  // once more, held elsewhere
  EXPECT_EQ(crossed.at({1, 4}), 400U);
  crossed.forget_before(2);
  EXPECT_EQ(crossed.at({1, 0}), 0U);
  EXPECT_EQ(crossed.of(400), std::nullopt);
  EXPECT_EQ(crossed.of(300), (Numbered{2, 0}));
  crossed.forget_from({2, 0});
  EXPECT_TRUE(crossed.empty());
}

TEST(Crossed, AgreesWithAPlainMapThroughAThousandSteps) {
  std::mt19937_64 random(3);
  Crossed crossed;
  std::map<Numbered, content::PageId> plain;
  std::array<std::uint64_t, 4> next{};
  content::PageId id = 1;
  for (int step = 0; step < 1000; ++step) {
    const auto connection = static_cast<std::uint32_t>(random() % next.size());
    auto& number = next.at(connection);
    if (random() % 10 != 0) {
      const auto count = 1 + random() % 4;
      id += random() % 2;
      crossed.add({connection, number}, id, count);
      for (std::uint64_t i = 0; i < count; ++i) plain[{connection, number++}] = id++;
    } else {
      number -= random() % (number + 1) / 4;
      crossed.forget_from({connection, number});
      std::erase_if(
          plain, [&](const auto& each) { return each.first.connection == connection && each.first.number >= number; });
    }
    const Numbered asked{connection, random() % (number + 2)};
    const auto found = plain.find(asked);
    ASSERT_EQ(crossed.at(asked), found == plain.end() ? 0 : found->second) << step;
    ASSERT_TRUE(found == plain.end() || crossed.of(found->second) == asked) << step;
  }
}

class Together : public ::testing::Test {
 protected:
  sim::PageFiles files_;
  content::Store store_{files_, "/store", {}};
  Rapports rapports_{store_};
};

TEST_F(Together, OneForEachTenantAndPeer) {
  const auto alice = rapports_.with("alice", "b1");
  EXPECT_EQ(rapports_.with("alice", "b1"), alice);
  EXPECT_NE(rapports_.with("alice", "b2"), alice);
  EXPECT_NE(rapports_.with("bob", "b1"), alice);
  EXPECT_EQ(rapports_.with("alice", "b2")->domain, alice->domain);
  EXPECT_NE(rapports_.with("bob", "b1")->domain, alice->domain);
}

TEST_F(Together, TheLongestUnusedGoesAndTheNewestStays) {
  const auto first = rapports_.with("alice", "first");
  const auto second = rapports_.with("alice", "second");
  for (int i = 0; i < 254; ++i) (void)rapports_.with("alice", std::to_string(i));
  EXPECT_EQ(rapports_.with("alice", "first"), first);
  const auto newest = rapports_.with("alice", "newest");
  EXPECT_EQ(rapports_.with("alice", "newest"), newest);
  EXPECT_EQ(rapports_.with("alice", "first"), first);
  EXPECT_NE(rapports_.with("alice", "second"), second);
}

TEST_F(Together, WhatCrossedBeforeIsForgottenOnceTheOtherSideHas) {
  auto& rapport = *rapports_.with("alice", "b1");
  rapport.mine.add({1, 0}, 10, 5);
  rapport.mine.add({2, 0}, 20, 5);
  rapport.theirs.add({1, 0}, 30, 5);
  rapport.acknowledged = {{1, 5}, {2, 5}};
  rapport.forget_before(2);
  EXPECT_EQ(rapport.mine.at({1, 0}), 0U);
  EXPECT_EQ(rapport.mine.at({2, 4}), 24U);
  EXPECT_TRUE(rapport.theirs.empty());
  EXPECT_EQ(rapport.acknowledged, (std::map<std::uint32_t, std::uint64_t>{{2, 5}}));
  rapport.last_connection = 2;
  rapport.begin_anew({std::byte{1}});
  EXPECT_TRUE(rapport.mine.empty());
  EXPECT_TRUE(rapport.acknowledged.empty());
  EXPECT_EQ(rapport.last_connection, 2U);  // its numbers are never used again
  EXPECT_EQ(rapport.id, RapportId{std::byte{1}});
}

// Over restarts of the process, with what lies on its disk.
class RapportsKept : public ::testing::Test {
 protected:
  RapportsKept() { restart(); }
  void restart() {
    rapports_.reset();
    store_.reset();
    store_ = std::make_unique<content::Store>(files_, "/store", content::StoreLimits{}, content::Store::Begin::kept);
    rapports_ = std::make_unique<Rapports>(*store_, memory_, files_, "shrink");
  }
  // As two migrations leave it: pages 0 to 127, of which the store's groups are whole.
  std::shared_ptr<Rapport> meet() {
    auto rapport = rapports_->with("alice", "b1");
    rapport->id = {std::byte{7}};
    const Rapports::Use use(*rapports_, rapport);
    rapport->last_connection = 2;
    rapport->mine.note_instance(2, tag_of("inst-web"));
    rapport->mine.add({2, 0}, keep(0), 1);
    for (std::uint64_t number = 1; number < 100; ++number) rapport->mine.add({2, number}, keep(number), 1);
    for (std::uint64_t number = 100; number < 128; ++number) rapport->theirs.add({1, number}, keep(number), 1);
    rapport->acknowledged[2] = 100;
    return rapport;
  }
  content::PageId keep(std::uint64_t number) {
    const auto page = testing::page_of(number);
    return store_->append(store_->domain("alice"), page, content::fingerprint_of(page)).value();
  }

  sim::PageFiles files_;
  std::shared_ptr<HostMemory> memory_{std::make_shared<HostMemory>()};
  std::unique_ptr<content::Store> store_;
  std::unique_ptr<Rapports> rapports_;
};

TEST_F(RapportsKept, ANewProcessKnowsWhatCrossed) {
  (void)meet();
  restart();
  const auto rapport = rapports_->with("alice", "b1");
  EXPECT_EQ(rapport->id, RapportId{std::byte{7}});
  EXPECT_EQ(rapport->last_connection, 2U);
  EXPECT_EQ(rapport->mine.at({2, 99}), 100U);
  EXPECT_EQ(rapport->theirs.at({1, 127}), 128U);
  EXPECT_EQ(rapport->mine.instance_of(2), tag_of("inst-web"));
  EXPECT_EQ(rapport->acknowledged.at(2), 100U);
  EXPECT_EQ(rapport->domain, store_->domain("alice"));
  EXPECT_EQ(rapports_->with("bob", "b1")->id, RapportId{});
}

TEST_F(RapportsKept, OneInUseWhenTheProcessEndedIsBegunAnew) {
  const auto rapport = meet();
  auto in_use = std::make_unique<Rapports::Use>(*rapports_, rapport);
  restart();
  EXPECT_EQ(rapports_->with("alice", "b1")->id, RapportId{});
  in_use.reset();  // of a process that is gone
  restart();
  EXPECT_EQ(rapports_->with("alice", "b1")->id, RapportId{});
}

TEST_F(RapportsKept, PagesThatAreNotHeldAnyMoreAreNotReferredTo) {
  auto rapport = meet();
  {
    const Rapports::Use use(*rapports_, rapport);
    for (std::uint64_t number = 200; number < 210; ++number) rapport->mine.add({3, number}, keep(number), 1);
  }
  restart();  // the last ten were no whole group yet
  rapport = rapports_->with("alice", "b1");
  EXPECT_EQ(rapport->mine.at({3, 200}), 0U);
  EXPECT_EQ(rapport->mine.at({2, 99}), 100U);
}

TEST_F(RapportsKept, ADiskThatForgotItsPagesForgetsThem) {
  (void)meet();
  ASSERT_TRUE(files_.remove("/store/head"));
  restart();
  EXPECT_EQ(rapports_->with("alice", "b1")->id, RapportId{});
}

TEST(RapportFile, GoldenBytes) {
  NamedRapport named{"alice", "b1", std::make_shared<Rapport>()};
  named.rapport->id = {std::byte{7}};
  named.rapport->last_connection = 2;
  named.rapport->mine.note_instance(2, 0x0102030405060708);
  named.rapport->mine.add({2, 0}, 1, 300);
  named.rapport->acknowledged[2] = 300;
  const auto packed = pack({named});
  EXPECT_EQ(to_hex(ByteView(packed).first(packed.size() - 8)),
            "4757525000000001"
            "05616c696365"
            "026231"
            "07000000000000000000000000000000"
            "02"
            "01020102030405060708"
            "01020001ac02"
            "0000"
            "0102ac02");
  const auto parsed = parse_rapports(packed);
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->at(0).rapport->mine.at({2, 299}), 300U);
  for (std::size_t at = 0; at < packed.size(); ++at) {
    auto torn = packed;
    torn[at] ^= std::byte{4};
    EXPECT_FALSE(parse_rapports(torn)) << at;
    EXPECT_FALSE(parse_rapports(ByteView(packed).first(at))) << at;
  }
}

TEST(Crossed, KnowsFromWhichConnectionOnNothingIsOlder) {
  Crossed crossed;
  EXPECT_EQ(crossed.first_connection_from(100), 0U);
  crossed.add({1, 0}, 100, 10);
  crossed.add({2, 0}, 200, 10);
  crossed.add({3, 0}, 150, 10);
  EXPECT_EQ(crossed.first_connection_from(100), 0U);
  EXPECT_EQ(crossed.first_connection_from(101), 2U) << "a page of the first is older";
  EXPECT_EQ(crossed.first_connection_from(160), 4U);
  EXPECT_EQ(crossed.first_connection_from(1000), 4U);
}

TEST(Rapport, WhatIsNotLeasedIsForgottenInBothDirections) {
  Rapport rapport;
  for (std::uint32_t connection = 1; connection < 4; ++connection) {
    rapport.mine.add({connection, 0}, 100 * connection, 10);
    rapport.theirs.add({connection, 0}, 1000 * connection, 10);
    rapport.acknowledged[connection] = 10;
  }
  rapport.forget_before(2, 3);
  EXPECT_EQ(rapport.mine.at({1, 0}), 0U);
  EXPECT_EQ(rapport.mine.at({2, 0}), 200U);
  EXPECT_EQ(rapport.theirs.at({2, 0}), 0U);
  EXPECT_EQ(rapport.theirs.at({3, 0}), 3000U);
  EXPECT_FALSE(rapport.acknowledged.contains(1));
  EXPECT_TRUE(rapport.acknowledged.contains(2));
}

}  // namespace
}  // namespace godwit::migrate
