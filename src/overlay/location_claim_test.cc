// Where an instance is, shown by records and hand-offs of the clouds that have it and have had it. The last test draws
// thousands of moves, and what liars make of what they saw.
#include "overlay/location_claim.h"

#include "overlay/test_cloud.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace godwit::overlay {
namespace {

using testing::kWallNow;
using testing::SeededRandom;
using Cloud = testing::TestCloud;

constexpr crypto::Validity kDay{kWallNow, kWallNow + crypto::kLocationRecordLife};
const Claimed kOf = Cloud::default_instance();

class LocationClaims : public ::testing::Test {
 protected:
  LocationClaims() {
    for (const auto* cloud : {&a_, &b_, &c_}) authorities_.emplace(cloud->name, cloud->authority());
  }
  [[nodiscard]] Result<Believed> judged(const Believed& before, const LocationClaim& claim,
                                        WallTime now = kWallNow) const {
    return judge(before, kOf, claim, authorities_, now);
  }
  [[nodiscard]] Errc refusal(const Believed& before, const LocationClaim& claim, WallTime now = kWallNow) const {
    const auto after = judged(before, claim, now);
    return after ? Errc::internal : after.error().code;
  }

  static constexpr auto kIf = crypto::LocationGrant::if_handed_off;
  Cloud a_{"cloud-a"};
  Cloud b_{"cloud-b"};
  Cloud c_{"cloud-c"};
  Authorities authorities_;
  Believed at_a1_{"cloud-a", "a1", 1};
};

TEST_F(LocationClaims, AnInstanceThatWasHandedOffIsBelievedWhereItWent) {
  const auto after = judged(at_a1_, {b_.says("b1", 2, kIf), {a_.gives(b_, "b1", 2)}});
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ(*after, (Believed{"cloud-b", "b1", 2}));
}

TEST_F(LocationClaims, NobodyTakesWhatWasNotGiven) {
  EXPECT_EQ(refusal(at_a1_, {b_.says("b1", 2), {}}), Errc::denied);
  EXPECT_EQ(refusal(at_a1_, {b_.says("b1", 1000), {}}), Errc::denied);
  EXPECT_EQ(refusal(at_a1_, {b_.says("b1", 2), {b_.gives(b_, "b1", 2)}}), Errc::denied) << "by itself";
  EXPECT_EQ(refusal(at_a1_, {b_.says("b1", 2), {c_.gives(b_, "b1", 2)}}), Errc::denied) << "by somebody else";
  EXPECT_EQ(refusal(at_a1_, {c_.says("c1", 2), {a_.gives(b_, "b1", 2)}}), Errc::denied) << "what another was given";
  EXPECT_EQ(refusal(at_a1_, {b_.says("b2", 2), {a_.gives(b_, "b1", 2)}}), Errc::denied) << "to another host";
  EXPECT_EQ(refusal(at_a1_, {b_.says("b1", 3, kIf), {a_.gives(b_, "b1", 2)}}), Errc::denied) << "with another epoch";
}

TEST_F(LocationClaims, OfAnotherInstanceOrNetworkProvesNothing) {
  auto other = kOf;
  other.instance = "i-00000000000000002";
  EXPECT_EQ(refusal(at_a1_, {b_.says("b1", 2, kIf, other), {a_.gives(b_, "b1", 2)}}), Errc::not_authentic);
  EXPECT_EQ(refusal(at_a1_, {b_.says("b1", 2, kIf), {a_.gives(b_, "b1", 2, other)}}), Errc::not_authentic);
  other = kOf;
  other.vni = 8;
  EXPECT_EQ(refusal(at_a1_, {b_.says("b1", 2, kIf, other), {a_.gives(b_, "b1", 2)}}), Errc::not_authentic);
}

TEST_F(LocationClaims, ACloudMovesItsOwnOnItsOwnWord) {
  EXPECT_EQ(judged(at_a1_, {a_.says("a2", 2), {}}).value(), (Believed{"cloud-a", "a2", 2}));
  EXPECT_EQ(refusal(at_a1_, {a_.says("a2", 2, kIf), {}}), Errc::denied) << "before the old host has let go";
  EXPECT_TRUE(judged(at_a1_, {a_.says("a2", 2, kIf), {a_.gives(a_, "a2", 2)}}));
}

TEST_F(LocationClaims, TheHigherEpochStands) {
  const Believed at_b1{"cloud-b", "b1", 2};
  EXPECT_EQ(refusal(at_b1, {a_.says("a1", 1), {}}), Errc::conflict);
  EXPECT_EQ(refusal(at_b1, {b_.says("b2", 2), {}}), Errc::conflict) << "two hosts with one epoch";
  EXPECT_EQ(refusal(at_b1, {a_.says("a1", 2), {}}), Errc::conflict);
  EXPECT_EQ(judged(at_b1, {b_.says("b1", 2), {}}).value(), at_b1) << "renewed";
}

TEST_F(LocationClaims, WhoMissedMovesFollowsThemAll) {
  // a1 -> b1 -> (b2, inside b) -> c1 -> a2
  const std::vector<ByteVector> moves{a_.gives(b_, "b1", 2), b_.gives(c_, "c1", 4), c_.gives(a_, "a2", 5)};
  const LocationClaim claim{a_.says("a2", 5), moves};
  EXPECT_EQ(judged(at_a1_, claim).value(), (Believed{"cloud-a", "a2", 5}));
  EXPECT_TRUE(judged({"cloud-b", "b2", 3}, claim)) << "the first one is known here";
  EXPECT_TRUE(judged({"cloud-c", "c1", 4}, claim));
  EXPECT_EQ(refusal(at_a1_, {c_.says("c1", 4), {moves[1]}}), Errc::denied) << "a gap";
  EXPECT_EQ(refusal(at_a1_, {c_.says("c1", 4), {moves[1], moves[0]}}), Errc::denied) << "out of order";
}

TEST_F(LocationClaims, SignaturesHoldForAWhileAndForTheirCloud) {
  const LocationClaim claim{b_.says("b1", 2, kIf), {a_.gives(b_, "b1", 2)}};
  EXPECT_EQ(refusal(at_a1_, claim, kDay.until), Errc::timed_out);
  const Cloud impostor("cloud-a");
  EXPECT_EQ(refusal(at_a1_, {claim.record, {impostor.gives(b_, "b1", 2)}}), Errc::not_authentic);
  const Cloud stranger("cloud-d");
  EXPECT_EQ(refusal(at_a1_, {stranger.says("d1", 2, kIf), {a_.gives(stranger, "d1", 2)}}), Errc::not_authentic)
      << "nobody has introduced it";
}

TEST_F(LocationClaims, WhereNothingIsKnownAClaimHasNothingToFollowFrom) {
  EXPECT_EQ(refusal({}, {b_.says("b1", 1), {}}), Errc::denied);
}

TEST_F(LocationClaims, StandsAsTheFormatSays) {
  const LocationClaim claim{ByteVector(2, std::byte{0xaa}), {ByteVector(1, std::byte{0xbb})}};
  EXPECT_EQ(to_hex(encode_claim(claim)), "020002aaaa0001bb");
  EXPECT_EQ(decode_claim(encode_claim(claim)).value(), claim);
  for (const auto* hex : {"", "00", "01", "010000", "010001", "010001aabb", "0a0001aa", "010201aa", "020001aa"}) {
    EXPECT_FALSE(decode_claim(from_hex(hex).value())) << hex;
  }
}

// ---- many moves

// A history of one instance, told to switches late, in any order, more than once, or never; and told about by a cloud
// that never had it and by hosts that replay what they saw.
class History {
 public:
  History(std::uint64_t seed, const std::vector<const Cloud*>& clouds, const Cloud& liar)
      : random_(seed), clouds_(clouds), liar_(liar) {}

  void run(const Authorities& authorities) {
    now_at_.push_back({clouds_[0]->name, "h0", 1});
    holder_ = clouds_[0];
    for (auto& each : switches_) each = now_at_[0];
    for (int step = 0; step < 40; ++step) {
      if (random_.below(3) == 0) move();
      lie();
      tell(authorities);
    }
    // In the end everybody hears of the last one, with as many hand-offs as travel with it.
    for (auto& each : switches_) hear(authorities, each, shown_.empty() ? LocationClaim{} : shown_.back());
    for (const auto& each : switches_) EXPECT_TRUE(each == now_at_.back() || behind(each));
  }

 private:
  // It missed more moves than are told.
  [[nodiscard]] bool behind(const Believed& believed) const {
    return chain_.size() > kMostHandOffs && believed.epoch < chain_[chain_.size() - kMostHandOffs].first;
  }

  void move() {
    const auto* to = clouds_[random_.below(clouds_.size())];
    const auto epoch = now_at_.back().epoch + 1;
    const auto host = fmt::format("h{}", random_.below(3));
    // An attempt that fails before the vote: its record exists, its hand-off was never shown.
    if (random_.below(3) == 0) {
      const auto* other = clouds_[random_.below(clouds_.size())];
      lies_.push_back(
          {other->says(fmt::format("x{}", random_.below(3)), epoch, crypto::LocationGrant::if_handed_off), {}});
    }
    chain_.push_back({epoch, holder_->gives(*to, host, epoch)});
    const auto grant = random_.below(2) == 0 ? crypto::LocationGrant::here : crypto::LocationGrant::if_handed_off;
    LocationClaim claim{to->says(host, epoch, grant), {}};
    const auto told = std::min(chain_.size(), kMostHandOffs);
    for (auto each = chain_.end() - static_cast<std::ptrdiff_t>(told); each != chain_.end(); ++each) {
      claim.hand_offs.push_back(each->second);
    }
    shown_.push_back(std::move(claim));
    now_at_.push_back({to->name, host, epoch});
    holder_ = to;
  }

  void lie() {
    const auto epoch = 1 + random_.below(60);
    LocationClaim claim{liar_.says("l1", epoch), {}};
    if (!chain_.empty()) claim.hand_offs.push_back(chain_[random_.below(chain_.size())].second);
    if (random_.below(2) == 0) claim.hand_offs.push_back(liar_.gives(liar_, "l1", epoch));
    if (!shown_.empty() && random_.below(4) == 0) claim.record = shown_[random_.below(shown_.size())].record;
    if (random_.below(8) == 0) claim.record[random_.below(claim.record.size())] ^= std::byte{4};
    lies_.push_back(std::move(claim));
  }

  void tell(const Authorities& authorities) {
    for (auto& each : switches_) {
      if (!shown_.empty() && random_.below(2) == 0) hear(authorities, each, shown_[random_.below(shown_.size())]);
      hear(authorities, each, lies_[random_.below(lies_.size())]);
    }
  }

  void hear(const Authorities& authorities, Believed& believed, const LocationClaim& claim) {
    const auto after = judge(believed, kOf, claim, authorities, kWallNow);
    if (!after) return;
    EXPECT_GE(after->epoch, believed.epoch);
    believed = *after;
    EXPECT_NE(std::ranges::find(now_at_, believed), now_at_.end())
        << believed.host << "." << believed.cloud << " never had it with epoch " << believed.epoch;
  }

  SeededRandom random_;
  std::vector<const Cloud*> clouds_;
  const Cloud& liar_;
  const Cloud* holder_{nullptr};
  std::vector<Believed> now_at_;                             // the truth, of every epoch
  std::vector<std::pair<std::uint64_t, ByteVector>> chain_;  // every hand-off that was shown
  std::vector<LocationClaim> shown_;
  std::vector<LocationClaim> lies_;
  std::array<Believed, 5> switches_;
};

TEST_F(LocationClaims, NobodyBelievesWhatNeverWasWhateverLiarsSayAndInWhateverOrder) {
  const Cloud liar("liar");
  auto authorities = authorities_;
  authorities.emplace("liar", liar.authority());
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    History(seed, {&a_, &b_, &c_}, liar).run(authorities);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace godwit::overlay
