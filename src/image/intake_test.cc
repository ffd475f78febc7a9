// An image brought to a store, call by call: both ends of docs/protocols/image-store.md, and what may break between
// them.
#include "image/intake.h"

#include "image/pieces_in_memory.h"
#include "image/shared_blocks.h"
#include "support/image_host.h"
#include "support/intake_line.h"
#include "support/uploads_in_memory.h"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <set>

namespace godwit::image {
namespace {

using testing::ImageHost;
using Line = testing::IntakeLine;
using testing::sample_image;
using testing::SampleImage;

const IntakeCaller kAlice{"alice", {}};

PiecesInMemory in_memory(const SampleImage& image) {
  ByteVector all;
  for (const auto& piece : image.pieces) append(all, piece);
  return PiecesInMemory(std::move(all));
}

// The image with a block before it, so that every block is elsewhere.
SampleImage moved_by_a_block(const SampleImage& image) {
  std::mt19937_64 random(99);
  ByteVector disk(kPage_bytes);
  testing::draw(random, disk);
  append(disk, image.file(Role::disk));
  return testing::image_of({{Role::disk, std::move(disk)}});
}

class IntakeTest : public ::testing::Test {
 protected:
  Result<ShipmentProgress> bring(const SampleImage& image, Line& to) {
    auto pieces = in_memory(image);
    return bring(pieces, image.text, to);
  }
  Result<ShipmentProgress> bring(Pieces& pieces, const std::string& manifest, Line& to,
                                 std::vector<Lease> siblings = {}) {
    std::optional<Result<ShipmentProgress>> outcome;
    auto job = [](sys::Executor executor, Pieces* from, std::string text, Line* over, std::vector<Lease> beside,
                  std::optional<Result<ShipmentProgress>>* into) -> sys::Task<void> {
      wire::ImageOffer offer{std::move(text), ""};
      std::function<void(const ShipmentProgress&)> on_progress = [](const ShipmentProgress&) {};
      auto shipment = ship(executor, *from, std::move(offer), *over, std::move(on_progress), std::move(beside));
      *into = co_await std::move(shipment);
    };
    host.run(job(host.runtime().executor, &pieces, manifest, &to, std::move(siblings), &outcome));
    return *outcome;
  }

  ImageHost host;
  testing::UploadsInMemory uploads;
  Intake intake{host.images(), uploads};
  Line line{intake, kAlice};
};

TEST_F(IntakeTest, AnImageArrivesWhole) {
  const auto image = sample_image(1);
  const auto brought = bring(image, line);
  ASSERT_TRUE(brought) << brought.error().message;
  EXPECT_TRUE(host.images().find(image.id)->complete());
  testing::expect_true_to(host, image);
}

TEST_F(IntakeTest, WhatTheStoreHasInAnotherImageDoesNotTravel) {
  const auto image = sample_image(1, 40);
  const auto sibling = moved_by_a_block(image);
  ASSERT_TRUE(host.receive(image));
  const auto brought = bring(sibling, line);
  ASSERT_TRUE(brought) << brought.error().message;
  testing::expect_true_to(host, sibling);
  // Tags twice, and the list; of 2.6 MiB.
  EXPECT_LT(line.bytes, 40'000U);
}

TEST_F(IntakeTest, WhatTheCallerMayNotUseIsNotKnownToThem) {
  const auto image = sample_image(1, 40);
  const auto sibling = moved_by_a_block(image);
  ASSERT_TRUE(host.receive(image));
  Line bobs(intake, {"bob", [](const std::string&) { return false; }});
  const auto brought = bring(sibling, bobs);
  ASSERT_TRUE(brought) << brought.error().message;
  testing::expect_true_to(host, sibling);
  EXPECT_GT(bobs.bytes, 500'000U);
}

// ---- compressed against what both have

// The image with some bytes before it, so that it has no block of it.
SampleImage moved_by_some_bytes(const SampleImage& image) {
  ByteVector disk(1000, std::byte{'x'});
  append(disk, image.file(Role::disk));
  disk.resize(disk.size() / kPage_bytes * kPage_bytes);
  return testing::image_of({{Role::disk, std::move(disk)}});
}

class SiblingTest : public IntakeTest {
 protected:
  ImageHost home{2};
  SampleImage image = sample_image(1, 40);
  SampleImage sibling = moved_by_some_bytes(image);

  void SetUp() override { ASSERT_TRUE(host.receive(image) && home.receive(image)); }
  std::vector<Lease> at_home() { return {home.images().open(image.id, "the test").value()}; }
  // `turns`: that others had meanwhile.
  std::vector<Lease> look() {
    auto pieces = in_memory(image);
    std::optional<std::vector<Lease>> outcome;
    auto others = [](sys::Executor executor, std::optional<std::vector<Lease>>* until, int* count) -> sys::Task<void> {
      for (; !*until; ++*count) co_await boost::asio::post(executor, boost::asio::use_awaitable);
    };
    auto job = [](sys::Executor executor, Repository* images, ImageId id, Pieces* of,
                  std::optional<std::vector<Lease>>* into) -> sys::Task<void> {
      auto looking = siblings_of(executor, *images, std::move(id), *of);
      *into = co_await std::move(looking);
    };
    const auto executor = home.runtime().executor;
    home.host().find("agent")->spawn(others(executor, &outcome, &turns));
    home.run(job(executor, &home.images(), image.id, &pieces, &outcome));
    return std::move(*outcome);
  }
  int turns{0};
  void expect_brought(Line& to) {
    auto pieces = in_memory(sibling);
    const auto brought = bring(pieces, sibling.text, to, at_home());
    ASSERT_TRUE(brought) << brought.error().message;
    EXPECT_TRUE(host.images().find(sibling.id)->complete());
    testing::expect_true_to(host, sibling);
  }
};

TEST_F(SiblingTest, WhatIsLikeAnImageThatBothHaveTravelsAsTheDifference) {
  expect_brought(line);
  // Tags, the list, and what was before it.
  EXPECT_LT(line.bytes, 60'000U);
  EXPECT_EQ(line.siblings_named, 1U);
}

TEST_F(SiblingTest, AnImageOfWhichLittleTravelsIsComparedWithNone) {
  auto disk = image.file(Role::disk);
  for (std::size_t at = 0; at < 1000; ++at) disk[at] ^= std::byte{1};
  sibling = testing::image_of({{Role::disk, std::move(disk)}});
  expect_brought(line);
  EXPECT_EQ(line.siblings_named, 0U);
}

TEST_F(SiblingTest, AHostsShipmentIsOfSmallParcels) {
  const auto big = sample_image(5, 200);
  auto pieces = in_memory(big);
  std::optional<Result<ShipmentProgress>> outcome;
  auto job = [](sys::Executor executor, Pieces* from, std::string text, Line* over,
                std::optional<Result<ShipmentProgress>>* into) -> sys::Task<void> {
    wire::ImageOffer offer{std::move(text), ""};
    std::function<void(const ShipmentProgress&)> on_progress = [](const ShipmentProgress&) {};
    auto shipment = ship(executor, *from, std::move(offer), *over, std::move(on_progress), {}, kShipmentOfHost);
    *into = co_await std::move(shipment);
  };
  host.run(job(host.runtime().executor, &pieces, big.text, &line, &outcome));
  ASSERT_TRUE(*outcome) << outcome->error().message;
  testing::expect_true_to(host, big);
  EXPECT_LE(line.longest, kShipmentOfHost.parcel_pieces * kPiece_bytes);
}

TEST_F(SiblingTest, OfAnImageThatTheCallerMayNotUseNothingIsToldAndNothingMadeUse) {
  Line bobs(intake, {"bob", [](const std::string&) { return false; }});
  expect_brought(bobs);
  EXPECT_GT(bobs.bytes, 500'000U);
  const IntakeCaller carol{"carol", [](const std::string&) { return false; }};
  ASSERT_TRUE(intake.offer(carol, {sibling.text, ""}));
  auto ids = from_hex(image.id + std::string(64, 'a')).value();
  EXPECT_EQ(intake.prefixes(carol, sibling.id, ids).value(), std::string(2, '\0'));
  EXPECT_EQ(intake.prefixes(kAlice, sibling.id, ids).value(), std::string("\1\0", 2));
  EXPECT_EQ(intake.prefixes(kAlice, sibling.id, ByteView(ids).first(33)).error().code, Errc::protocol);
}

TEST_F(SiblingTest, AStoreThatHasLostItMeanwhileIsSentAllOfIt) {
  bool is_there = true;
  Line bobs(intake, {"bob", [&](const std::string& id) { return is_there || id != image.id; }});
  bobs.before = [&](const std::string& path) { is_there = is_there && !path.ends_with("/parcels"); };
  expect_brought(bobs);
  EXPECT_GT(bobs.bytes, 500'000U);
}

TEST_F(SiblingTest, AStoreThatKnowsNothingOfPrefixesTakesParcelsAsTheyWere) {
  line.knows_prefixes = false;
  expect_brought(line);
  EXPECT_GT(line.bytes, 500'000U);
}

// What has come of the image itself counts only when who brings it has shown it.
TEST_F(SiblingTest, NobodyShowsAPieceByWhatOthersHaveBroughtOfTheImage) {
  auto pieces = in_memory(image);
  const IntakeCaller bob{"bob", [](const std::string&) { return false; }};
  ASSERT_TRUE(intake.offer(bob, {image.text, ""}));
  const auto part = pack_list_part(image.list);
  ASSERT_TRUE(intake.add_to_list(bob, image.id, 0, as_bytes(part)));
  const auto parcel = make_parcel(pieces, std::vector<ParcelPiece>{{0}}, kParcelLevel, [&](ByteView blocks) {
    return ParcelPrefix{{}, {{0, 0, kPiece_blocks}}, ByteVector(blocks.begin(), blocks.end())};
  });
  ASSERT_TRUE(parcel);
  const auto taken = intake.take(bob, image.id, parcel->bytes);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->pieces, 0U);
  const auto again = make_parcel(pieces, std::vector<ParcelPiece>{{0}});
  ASSERT_EQ(intake.take(bob, image.id, again->bytes)->pieces, 1U);
  EXPECT_EQ(intake.take(bob, image.id, parcel->bytes)->pieces, 1U);
}

TEST_F(SiblingTest, SiblingsAreThoseWithMostPiecesInCommon) {
  const auto same = testing::image_of({{Role::disk, image.file(Role::disk)}});
  const auto other = sample_image(7, 40);
  ASSERT_TRUE(home.receive(same) && home.receive(other) && home.receive(sibling));
  const auto found = look();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.front()->id(), same.id);
}

TEST_F(SiblingTest, OthersGoOnWhileSiblingsAreLookedFor) {
  for (std::uint64_t seed = 10; seed < 20; ++seed) ASSERT_TRUE(home.receive(sample_image(seed)));
  EXPECT_TRUE(look().empty());
  EXPECT_GE(turns, 10);
}

// ---- what breaks

TEST_F(IntakeTest, ABrokenShipmentGoesOnWhereItWas) {
  const auto image = sample_image(3, 300);
  std::uint64_t before = 0;
  for (int calls = 3; calls < 6; ++calls) {
    line.breaks_after = calls;
    EXPECT_FALSE(bring(image, line));
    const auto status = host.images().find(image.id);
    ASSERT_TRUE(status);
    EXPECT_GE(status->pieces - status->missing, before);
    before = status->pieces - status->missing;
  }
  line.breaks_after = 1000;
  ASSERT_TRUE(bring(image, line));
  testing::expect_true_to(host, image);
}

// ---- whose it is

ByteVector packed(ByteView list) {
  const auto part = pack_list_part(list);
  const auto bytes = as_bytes(part);
  return {bytes.begin(), bytes.end()};
}

// One who may use what they have named, and nothing else.
IntakeCaller one_of(const std::string& who, const std::set<std::string>& named = {}) {
  return {who, [named](const std::string& id) { return named.contains(id); }};
}

TEST_F(IntakeTest, WhoHasNotOfferedAnImageIsToldOfNoneWhetherItIsThereOrNot) {
  const auto there = sample_image(1);
  const auto nowhere = sample_image(2);
  ASSERT_TRUE(host.receive(there));
  const auto bob = one_of("bob");
  std::set<std::string> said;
  for (const auto* image : {&there, &nowhere}) {
    const auto& id = image->id;
    const auto looked = intake.look(bob, id);
    const auto listed = intake.add_to_list(bob, id, 0, packed(image->list));
    const auto known = intake.known(bob, id, ByteVector(128));
    const auto taken = intake.take(bob, id, image->list);
    const auto whole = intake.is_whole_for(bob, id);
    ASSERT_FALSE(looked || listed || known || taken || whole);
    for (const auto& error : {looked.error(), listed.error(), known.error(), taken.error(), whole.error()}) {
      EXPECT_EQ(error.code, Errc::not_found);
      auto text = error.message;
      said.insert(text.replace(text.find(id.substr(0, 12)), 12, "ID"));
    }
  }
  EXPECT_EQ(said.size(), 1U);
}

// All that the second is told is what it was told when nobody else had the image, byte for byte.
TEST_F(IntakeTest, WhoBringsWhatAnotherHasIsToldNothingOfItAndShowsAllOfIt) {
  const auto image = sample_image(1, 300);
  ImageHost empty(2);
  testing::UploadsInMemory others;
  Intake alone(empty.images(), others);
  ASSERT_TRUE(host.receive(image));
  Line second(intake, one_of("bob"));
  Line first(alone, one_of("bob"));
  ASSERT_TRUE(bring(image, second));
  ASSERT_TRUE(bring(image, first));
  EXPECT_EQ(second.said, first.said);
  EXPECT_EQ(second.bytes, first.bytes);
  EXPECT_TRUE(intake.is_whole_for(one_of("bob"), image.id).value());
  EXPECT_FALSE(intake.is_whole_for(one_of("carol"), image.id));
}

TEST_F(IntakeTest, WhatIsShownMustBeRight) {
  const auto image = sample_image(1);
  ASSERT_TRUE(host.receive(image));
  const auto bob = one_of("bob");
  ASSERT_TRUE(intake.offer(bob, {image.text, ""}));
  ASSERT_TRUE(intake.add_to_list(bob, image.id, 0, packed(image.list)));
  auto lies = in_memory(image);
  lies.spoil(0);
  const std::vector<ParcelPiece> all{{0}, {2}};
  const auto parcel = make_parcel(lies, all);
  ASSERT_TRUE(parcel);
  const auto taken = intake.take(bob, image.id, parcel->bytes);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->refused, std::vector<std::uint64_t>{0});
  EXPECT_FALSE(intake.is_whole_for(bob, image.id).value());
  testing::expect_true_to(host, image);
}

// Two who bring the same at the same time don't hear of each other.
TEST_F(IntakeTest, OfTwoWhoBringTheSameEachSeesTheirOwn) {
  const auto image = sample_image(1, 300);
  Line alices(intake, one_of("alice"));
  alices.breaks_after = 5;
  EXPECT_FALSE(bring(image, alices));
  const auto bob = one_of("bob");
  const auto offered = intake.offer(bob, {image.text, ""});
  ASSERT_TRUE(offered);
  EXPECT_FALSE(offered->has_list);
  ASSERT_TRUE(intake.add_to_list(bob, image.id, 0, packed(image.list)));
  const auto before = intake.look(one_of("alice"), image.id)->here;
  Line bobs(intake, bob);
  ASSERT_TRUE(bring(image, bobs));
  EXPECT_EQ(intake.look(one_of("alice"), image.id)->here, before);
  alices.breaks_after = 1000;
  ASSERT_TRUE(bring(image, alices));
  testing::expect_true_to(host, image);
}

TEST_F(IntakeTest, WhatMakesNoSenseIsRefusedAndNothingIsKeptOfIt) {
  const auto image = sample_image(1);
  EXPECT_FALSE(intake.offer(kAlice, {"{}", ""}));
  EXPECT_FALSE(intake.look(kAlice, std::string(64, 'a')));
  const auto offered = intake.offer(kAlice, {image.text, ""});
  ASSERT_TRUE(offered);
  EXPECT_EQ(offered->id, image.id);
  EXPECT_FALSE(offered->has_list);
  auto list = image.list;
  list[5] ^= std::byte{1};
  EXPECT_FALSE(intake.add_to_list(kAlice, image.id, 0, packed(list)));
  EXPECT_FALSE(intake.take(kAlice, image.id, list)) << "before the list";
  ASSERT_TRUE(intake.add_to_list(kAlice, image.id, 0, packed(image.list)));
  EXPECT_FALSE(intake.take(kAlice, image.id, list));
  EXPECT_FALSE(intake.known(kAlice, image.id, ByteView(list).first(17)));
  const auto now = intake.look(kAlice, image.id);
  ASSERT_TRUE(now);
  EXPECT_FALSE(now->missing.empty());
}

}  // namespace
}  // namespace godwit::image
