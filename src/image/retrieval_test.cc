// An image taken from a store, call by call: both ends, and what may break or lie between them.
#include "image/retrieval.h"

#include "image/list_part.h"
#include "support/image_host.h"
#include "support/outlet_line.h"

#include <optional>

namespace godwit::image {
namespace {

using testing::ImageHost;
using testing::OutletLine;
using testing::sample_image;
using testing::SampleImage;

class RetrievalTest : public ::testing::Test {
 protected:
  Result<Lease> take(const std::string& id) {
    std::optional<Result<Lease>> outcome;
    auto job = [](ImageHost* at, std::string image, OutletLine* over,
                  std::optional<Result<Lease>>* into) -> sys::Task<void> {
      auto retrieving = retrieve(at->runtime(), at->images(), std::move(image), *over, {});
      *into = co_await std::move(retrieving);
    };
    home.run(job(&home, id, &line, &outcome));
    return *outcome;
  }

  ImageHost cloud{1};
  ImageHost home{2};
  Outlet outlet{cloud.images()};
  OutletLine line{outlet};
};

TEST_F(RetrievalTest, AnImageArrivesWhole) {
  const auto image = sample_image(1, 600);  // more than two parcels
  ASSERT_TRUE(cloud.receive(image));
  const auto taken = take(image.id);
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_TRUE((*taken)->complete());
  testing::expect_true_to(home, image);
}

TEST_F(RetrievalTest, WhatIsHereInOtherImagesDoesNotTravel) {
  const auto image = sample_image(1, 60);
  ASSERT_TRUE(cloud.receive(image));
  std::mt19937_64 random(99);
  ByteVector disk(kPage_bytes);  // the image with a block before it, so that every block is elsewhere
  testing::draw(random, disk);
  append(disk, image.file(Role::disk));
  const auto moved = testing::image_of({{Role::disk, std::move(disk)}});
  ASSERT_TRUE(home.receive(moved));
  const auto taken = take(image.id);
  ASSERT_TRUE(taken) << taken.error().message;
  testing::expect_true_to(home, image);
  EXPECT_LT(line.bytes, 200'000U) << "list, tags, kernel and initrd";
}

TEST_F(RetrievalTest, WhatCameBeforeABreakDoesNotComeAgain) {
  const auto image = sample_image(1, 600);
  ASSERT_TRUE(cloud.receive(image));
  line.breaks_after = 6;
  ASSERT_FALSE(take(image.id));
  const auto before = home.images().find(image.id);
  ASSERT_TRUE(before);
  EXPECT_LT(before->missing, before->pieces);
  line.breaks_after = 1'000'000;
  line.bytes = 0;
  ASSERT_TRUE(take(image.id));
  EXPECT_LT(line.bytes, before->missing * (kPiece_bytes + 200) + image.list.size() + 10'000);
  testing::expect_true_to(home, image);
}

TEST_F(RetrievalTest, AStoreThatLiesIsFoundOutAndNothingOfItIsKept) {
  const auto image = sample_image(1, 60);
  const auto other = sample_image(2, 60);
  ASSERT_TRUE(cloud.receive(image) && cloud.receive(other));
  line.spoil = [&](const std::string& path, std::string& answer) {
    if (path.ends_with("/manifest")) answer = wire::encode(wire::ImageOffer{other.text, ""});
  };
  EXPECT_EQ(take(image.id).error().code, Errc::not_authentic);
  line.spoil = [](const std::string& path, std::string& answer) {
    if (path.contains("/list/")) answer[40] = static_cast<char>(answer[40] ^ 1);
  };
  EXPECT_EQ(take(image.id).error().code, Errc::not_authentic);
  for (const auto change : {-1, -32, 32}) {
    line.spoil = [=](const std::string& path, std::string& answer) {
      if (path.contains("/list/")) answer.resize(answer.size() + static_cast<std::size_t>(change));
    };
    EXPECT_EQ(take(image.id).error().code, Errc::protocol) << change;
  }
  line.spoil = [&](const std::string& path, std::string& answer) {
    if (path.ends_with("/tags")) answer.resize(answer.size() - 1);
  };
  EXPECT_EQ(take(image.id).error().code, Errc::protocol);
  std::string first;
  line.spoil = [&](const std::string& path, std::string& answer) {  // the same parcel for ever
    if (!path.ends_with("/pieces")) return;
    if (first.empty()) first = answer;
    answer = first;
  };
  const auto same = take(image.id);
  EXPECT_TRUE(same || same.error().code == Errc::protocol || same.error().code == Errc::not_authentic);
  line.spoil = {};
  ASSERT_TRUE(take(image.id));
  testing::expect_true_to(home, image);
}

TEST_F(RetrievalTest, AskedForNonsenseAStoreSaysSo) {
  const auto image = sample_image(1);
  ASSERT_TRUE(cloud.receive(image));
  const auto code = [](const Result<std::string>& answer) { return answer ? Errc{} : answer.error().code; };
  EXPECT_EQ(code(outlet.tags(std::string(64, '0'), ByteVector(4))), Errc::not_found);
  EXPECT_EQ(code(outlet.tags(image.id, {})), Errc::protocol);
  EXPECT_EQ(code(outlet.tags(image.id, ByteVector(7))), Errc::protocol);
  EXPECT_EQ(code(outlet.tags(image.id, ByteVector(4 * (kParcelPieces + 1)))), Errc::protocol);
  EXPECT_EQ(code(outlet.parcel(image.id, ByteVector(6, std::byte{0xff}))), Errc::protocol);
  EXPECT_EQ(code(outlet.parcel(image.id, ByteVector(11))), Errc::protocol);
  const auto begun = sample_image(3);
  ASSERT_TRUE(cloud.images().begin(begun.text, {}, "a transfer"));
  EXPECT_EQ(code(outlet.list(begun.id, 0)), Errc::conflict) << "it is not whole";
  const auto all = image.list.size() / kDigest_bytes;
  EXPECT_EQ(code(outlet.list(image.id, all)), Errc::invalid_argument);
  EXPECT_EQ(code(outlet.list(image.id, ~std::uint64_t{0})), Errc::invalid_argument);
  EXPECT_EQ(open_list_part(as_bytes(*outlet.list(image.id, all - 1)))->size(), kDigest_bytes);
}

}  // namespace
}  // namespace godwit::image
