// An image taken from a store, call by call: both ends, and what may break or lie between them.
#include "image/retrieval.h"

#include "image/list_part.h"
#include "support/hollow_image.h"
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
  line.breaks_after = 8;
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

// ---- compressed against what both have

// The image with some bytes behind its first pieces, so that it has no block of the others.
SampleImage moved_by_some_bytes(const SampleImage& image) {
  const ByteView whole = image.file(Role::disk);
  ByteVector disk(whole.begin(), whole.begin() + 3 * kPiece_bytes);
  disk.resize(disk.size() + 1000, std::byte{'x'});
  append(disk, whole.subspan(3 * kPiece_bytes));
  disk.resize(disk.size() / kPage_bytes * kPage_bytes);
  return testing::image_of({{Role::disk, std::move(disk)}});
}

class SimilarRetrievalTest : public RetrievalTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cloud.receive(image) && cloud.receive(sibling) && home.receive(sibling));
    line.may_use = [this](const ImageId& id) { return id == sibling.id; };
  }
  void expect_taken() {
    const auto taken = take(image.id);
    ASSERT_TRUE(taken) << taken.error().message;
    testing::expect_true_to(home, image);
  }

  SampleImage sibling = sample_image(1, 60);
  SampleImage image = moved_by_some_bytes(sibling);
};

TEST_F(SimilarRetrievalTest, WhatIsLikeAnImageThatBothHaveTravelsAsTheDifference) {
  expect_taken();
  EXPECT_GT(line.differences, 0);
  EXPECT_LT(line.bytes, 200'000U) << "list, tags, sketches, and what was before it";
}

TEST_F(SimilarRetrievalTest, AStoreThatKnowsNothingOfPrefixesGivesParcelsAsTheyWere) {
  line.knows_prefixes = false;
  expect_taken();
  EXPECT_EQ(line.differences, 0);
  EXPECT_GT(line.bytes, 1'000'000U);
}

TEST_F(SimilarRetrievalTest, AStoreThatHasLostItMeanwhileGivesAllOfIt) {
  bool is_there = true;
  line.may_use = [&](const ImageId&) { return is_there; };
  line.spoil = [&](const std::string& path, std::string&) { is_there = is_there && !path.ends_with("/sketches"); };
  expect_taken();
  EXPECT_GT(line.bytes, 1'000'000U);
}

TEST_F(SimilarRetrievalTest, WhoMayNotUseAnImageGetsNoDifferencesToIt) {
  ParcelPrefix prefix{{sibling.id}, {{1, 0, 16}}, {}};
  ByteVector wishes;
  append_prefix(wishes, prefix);
  for (const auto byte : {0, 0, 0, 0, 0xff, 0xff}) wishes.push_back(static_cast<std::byte>(byte));
  const auto with = outlet.differences(image.id, wishes, [](const ImageId&) { return true; });
  const auto without = outlet.differences(image.id, wishes, [](const ImageId&) { return false; });
  ASSERT_TRUE(with && without);
  EXPECT_EQ((*with)[3], '\2');
  EXPECT_EQ((*without)[3], '\1') << "a parcel that stands alone";
}

TEST_F(SimilarRetrievalTest, AStoreThatGivesFalseSketchesOrAnotherPrefixesPiecesDoesNoHarm) {
  line.spoil = [](const std::string& path, std::string& answer) {
    if (path.ends_with("/sketches")) std::ranges::fill(answer, '\x11');
  };
  expect_taken();
}

TEST_F(SimilarRetrievalTest, ParcelsThatCantBeReadAreAskedForOnceMoreAndAlone) {
  line.spoil = [](const std::string& path, std::string& answer) {
    if (path.ends_with("/differences")) answer.back() = static_cast<char>(answer.back() ^ 1);  // of zstd's check
  };
  expect_taken();
  EXPECT_GT(line.differences, 0);
}

TEST_F(SimilarRetrievalTest, AnImageOfWhichLittleComesIsComparedWithNone) {
  auto disk = sibling.file(Role::disk);
  for (std::size_t at = 0; at < 1000; ++at) disk[at] ^= std::byte{1};
  image = testing::image_of({{Role::disk, std::move(disk)}});
  ASSERT_TRUE(cloud.receive(image));
  int asked = 0;
  line.may_use = [&](const ImageId&) { return ++asked > 0; };
  expect_taken();
  EXPECT_EQ(asked, 0);
}

// ---- a list of several parts

class LongListTest : public RetrievalTest {
 protected:
  void SetUp() override {
    const auto lease = cloud.images().begin(image.manifest(), {}, "the test");
    ASSERT_TRUE(lease) << lease.error().message;
    ASSERT_TRUE((*lease)->set_list(image.list()));
    ByteVector piece(kPiece_bytes);
    ASSERT_TRUE(image.read(0, piece) && (*lease)->put(0, piece));
  }
  // Manifest and the first part of the list come.
  void break_off() {
    line.breaks_after = 2;
    ASSERT_FALSE(take(image.id()));
    line.breaks_after = 1000;
    line.list_parts = 0;
  }
  void expect_taken() {
    const auto taken = take(image.id());
    ASSERT_TRUE(taken) << taken.error().message;
    ByteVector piece(kPiece_bytes);
    ByteVector made(kPiece_bytes);
    ASSERT_TRUE((*taken)->read(0, piece) && image.read(0, made));
    EXPECT_EQ(piece, made);
  }

  testing::HollowImage image{2 * kListPartPieces - 5, kPiecesLimit};  // one piece of it holds anything
};

TEST_F(LongListTest, OneThatBreaksGoesOnWhereItWas) {
  break_off();
  expect_taken();
  EXPECT_EQ(line.list_parts, 1);
}

TEST_F(LongListTest, SoItDoesInAnotherProcess) {
  break_off();
  home.restart();
  expect_taken();
  EXPECT_EQ(line.list_parts, 1);
}

TEST_F(LongListTest, WhatALossOfPowerHasLeftOfItIsOfNoHarm) {
  for (int times = 0; times < 3; ++times) {
    break_off();
    home.lose_power();
    ASSERT_TRUE(home.boot());
  }
  expect_taken();
}

TEST_F(LongListTest, OneOfWhichAPartWasFalseBeginsAnew) {
  line.spoil = [](const std::string& path, std::string& answer) {
    if (!path.ends_with("/list/0")) return;
    auto digests = open_list_part(as_bytes(answer)).value();
    digests[100] ^= std::byte{1};
    answer = pack_list_part(digests);
  };
  break_off();
  line.spoil = {};
  expect_taken();
  EXPECT_EQ(line.list_parts, 3) << "the rest of what was kept, and all of it";
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
  EXPECT_EQ(code(outlet.sketches(image.id, ByteVector(7))), Errc::protocol);
  EXPECT_EQ(code(outlet.sketches(image.id, ByteVector(6, std::byte{0xff}))), Errc::protocol);
  EXPECT_EQ(code(outlet.differences(image.id, ByteVector(6), {})), Errc::protocol);
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
