// An image brought to a store, call by call: both ends of docs/protocols/image-store.md, and what may break between
// them.
#include "image/intake.h"

#include "image/pieces_in_memory.h"
#include "support/image_host.h"
#include "support/intake_line.h"
#include "support/uploads_in_memory.h"

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
  Result<ShipmentProgress> bring(Pieces& pieces, const std::string& manifest, Line& to) {
    std::optional<Result<ShipmentProgress>> outcome;
    auto job = [](sys::Executor executor, Pieces* from, std::string text, Line* over,
                  std::optional<Result<ShipmentProgress>>* into) -> sys::Task<void> {
      wire::ImageOffer offer{std::move(text), ""};
      auto shipment = ship(executor, *from, std::move(offer), *over, [](const ShipmentProgress&) {});
      *into = co_await std::move(shipment);
    };
    host.run(job(host.runtime().executor, &pieces, manifest, &to, &outcome));
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
