// Where the switch believes an instance to be: what its own cloud configures, and what others announce and can prove.
// Instance 1 runs at cloud a; this host is of cloud "cloud", and all know each other.
#include "overlay/test_cloud.h"

#include <gtest/gtest.h>

namespace godwit::overlay {
namespace {

using namespace testing;

constexpr auto kIf = crypto::LocationGrant::if_handed_off;

class SwitchLocations : public ::testing::Test {
 protected:
  SwitchLocations() {
    network_ = network_of({1, 0});
    network_.members[1].location = at(a_, "a1", 11, 1);
    configure();
  }

  static wire::Location at(const TestCloud& cloud, const std::string& host, unsigned number, std::uint64_t version,
                           const LocationClaim& claim = {}) {
    wire::Location out{cloud.name, host,    fmt::format("10.1.0.{}", number),
                       4790,       version, to_base64url(cloud.sign(cloud.host(host, number)))};
    if (!claim.record.empty()) out.claim = claim_to_text(claim);
    return out;
  }
  void configure() {
    auto config = here_.config(network_, {{0, 1}});
    for (const auto* each : {&a_, &b_, &c_}) config.authorities.push_back(each->ca());
    ASSERT_TRUE(here_.core().configure(now_, config));
    here_.attach(0, 1);
    here_.poll(now_);
    here_.sent.clear();
  }
  // The host itself says it, which has the network's key.
  void announce(const wire::Location& location) {
    const auto from =
        static_cast<unsigned>(std::stoul(location.underlay_ip.substr(location.underlay_ip.rfind('.') + 1)));
    const auto& record = location.record;
    here_.seal().introduce(now_, host_key(from), crypto::statement_from_text(record).value());
    here_.sent.clear();
    here_.delivered.clear();
    crypto::MacKey key(ByteVector(32, std::byte{0xaa}));
    const auto message = encode_control(kVni, {1, Announce{instance_id(1), location}}, key);
    here_.record(now_, from, {RecordKind::control, 0, kVni, message.size(), {}}, message);
  }
  void data_from(unsigned host) {
    here_.delivered.clear();
    const auto frame = guest_frame(1, 0, "hello");
    here_.record(now_, host, {RecordKind::frame, 0, kVni, frame.size(), {}}, frame);
  }
  [[nodiscard]] wire::Location believed() { return here_.core().networks().at(0).members.at(1).location; }

  TestCloud a_{"cloud-a"};
  TestCloud b_{"cloud-b"};
  TestCloud c_{"cloud-c"};
  TimePoint now_{Seconds{1000}};
  TestHost here_{1, 1};
  wire::Network network_;
};

TEST_F(SwitchLocations, AnInstanceThatWasHandedOffIsBelievedWhereItWent) {
  announce(at(b_, "b1", 12, 2, {b_.says("b1", 2, kIf), {a_.gives(b_, "b1", 2)}}));
  EXPECT_EQ(believed().host, "b1");
  EXPECT_EQ(believed().until_ms, (kWallNow + crypto::kLocationRecordLife).time_since_epoch().count());
  ASSERT_EQ(here_.sent.size(), 1U) << "acknowledged";
  data_from(12);
  EXPECT_EQ(here_.delivered.size(), 1U);
}

TEST_F(SwitchLocations, AStolenLocationIsBelievedByNobody) {
  const auto real = a_.gives(b_, "b1", 2);
  for (const auto& lie : {
           at(c_, "c1", 12, 2),                          // nothing shown
           at(c_, "c1", 12, 2, {c_.says("c1", 2), {}}),  // its own cloud's word
           at(c_, "c1", 12, 99, {c_.says("c1", 99), {c_.gives(c_, "c1", 99)}}),
           at(c_, "c1", 12, 2, {c_.says("c1", 2, kIf), {real}}),  // what another was given
           at(c_, "c1", 12, 2, {b_.says("b1", 2, kIf), {real}}),  // another's claim
           at(c_, "c1", 12, 9, {b_.says("b1", 2, kIf), {real}}),
           at(c_, "c1", 12, 1, {c_.says("c1", 1), {}}),  // the same version, elsewhere
       }) {
    const auto before = here_.drops(Drop::unproven);
    announce(lie);
    EXPECT_EQ(believed().host, "a1");
    EXPECT_EQ(here_.drops(Drop::unproven), before + 1);
    EXPECT_TRUE(here_.sent.empty()) << "and no answer";
    data_from(12);
    EXPECT_TRUE(here_.delivered.empty());
  }
  EXPECT_EQ(here_.drops(Drop::not_a_member_host), 7U);
}

TEST_F(SwitchLocations, WhoProvesNothingAgainAndAgainIsNotLookedAtForAWhile) {
  for (int i = 0; i < 64; ++i) announce(at(b_, "b1", 12, 2, {b_.says("b1", 2, kIf), {}}));
  const auto good = at(b_, "b1", 12, 2, {b_.says("b1", 2, kIf), {a_.gives(b_, "b1", 2)}});
  announce(good);
  EXPECT_EQ(believed().host, "a1");
  EXPECT_EQ(here_.drops(Drop::unproven), 65U);
  now_ += Seconds{1};
  here_.poll(now_);
  announce(good);
  EXPECT_EQ(believed().host, "b1");
}

TEST_F(SwitchLocations, AnAbortedMigrationLeavesItsDestinationNothing) {
  // It has the record "if", and everything that was public before.
  announce(at(b_, "b1", 12, 2, {b_.says("b1", 2, kIf), {}}));
  EXPECT_EQ(believed().host, "a1");
  // The next one went well, to somebody else, with the same epoch.
  announce(at(c_, "c1", 13, 2, {c_.says("c1", 2, kIf), {a_.gives(c_, "c1", 2)}}));
  EXPECT_EQ(believed().host, "c1");
  announce(at(b_, "b1", 12, 2, {b_.says("b1", 2, kIf), {a_.gives(c_, "c1", 2)}}));
  EXPECT_EQ(believed().host, "c1");
}

TEST_F(SwitchLocations, AChainOverThreeCloudsIsFollowedFromWhereverItWasLastKnown) {
  const auto first = a_.gives(b_, "b1", 2);
  const auto second = b_.gives(c_, "c1", 3);
  const LocationClaim claim{c_.says("c1", 3, kIf), {first, second}};
  announce(at(c_, "c1", 13, 3, {claim.record, {second}}));
  EXPECT_EQ(believed().host, "a1") << "a gap";
  announce(at(c_, "c1", 13, 3, claim));
  EXPECT_EQ(believed().host, "c1");
}

TEST_F(SwitchLocations, WhoIsBehindIsShownTheProof) {
  const LocationClaim claim{b_.says("b1", 2, kIf), {a_.gives(b_, "b1", 2)}};
  announce(at(b_, "b1", 12, 2, claim));
  announce(at(a_, "a1", 11, 1));
  ASSERT_EQ(here_.sent.size(), 1U);
  const auto sent = ByteView(here_.sent[0].bytes);
  const auto text = to_hex(sent);
  EXPECT_NE(text.find(to_hex(encode_claim(claim))), std::string::npos);
}

TEST_F(SwitchLocations, TheOwnCloudsConfigurationIsItsWord) {
  network_.members[1].location = at(b_, "b1", 12, 2);
  configure();
  EXPECT_EQ(believed().host, "b1");
}

TEST_F(SwitchLocations, AProofOutlivesAConfigurationThatSaysTheSameInShort) {
  const LocationClaim claim{b_.says("b1", 2, kIf), {a_.gives(b_, "b1", 2)}};
  announce(at(b_, "b1", 12, 2, claim));
  network_.members[1].location = at(b_, "b1", 12, 2);
  network_.members[1].location.until_ms = believed().until_ms;
  configure();
  EXPECT_EQ(believed().claim, claim_to_text(claim));
}

TEST_F(SwitchLocations, ALocationThatIsNotRenewedEndsAndItsHostIsNotHeard) {
  auto& location = network_.members[1].location;
  location.until_ms = (kWallNow + Seconds{1}).time_since_epoch().count();
  configure();
  data_from(11);
  EXPECT_EQ(here_.delivered.size(), 1U);
  location.until_ms = kWallNow.time_since_epoch().count();
  configure();
  data_from(11);
  EXPECT_TRUE(here_.delivered.empty());
  here_.from_guest(now_, 0, guest_frame(0, 1, "hello"));
  EXPECT_TRUE(here_.sent.empty()) << "nor spoken to";
}

TEST_F(SwitchLocations, WhatIsAnnouncedAheadOfItsMemberIsProvenWhenThatComes) {
  auto fewer = network_;
  fewer.members.pop_back();
  std::swap(fewer, network_);
  configure();
  announce(at(c_, "c1", 13, 2, {c_.says("c1", 2), {}}));
  std::swap(fewer, network_);
  configure();
  EXPECT_EQ(believed().host, "a1");
  std::swap(fewer, network_);
  configure();
  announce(at(b_, "b1", 12, 2, {b_.says("b1", 2, kIf), {a_.gives(b_, "b1", 2)}}));
  std::swap(fewer, network_);
  configure();
  EXPECT_EQ(believed().host, "b1");
}

TEST_F(SwitchLocations, WhatIsHereIsAnnouncedWithItsProofAlsoAfterARestart) {
  const auto claim = location_claim(1, 0, 2);
  ASSERT_TRUE(here_.core().announce(now_, {kNetworkId, instance_id(0), 2, claim}, 0));
  const auto kept = wire::decode<wire::SwitchConfig>(wire::encode(here_.core().state()));
  ASSERT_TRUE(kept);
  TestHost again(1, 2);
  ASSERT_TRUE(again.core().configure(now_, *kept));
  again.core().announce_again(now_);
  again.poll(now_);
  const auto proof = to_hex(encode_claim(claim_from_text(claim).value()));
  EXPECT_TRUE(std::ranges::any_of(
      again.sent, [&](const Datagram& each) { return to_hex(each.bytes).find(proof) != std::string::npos; }));
}

}  // namespace
}  // namespace godwit::overlay
