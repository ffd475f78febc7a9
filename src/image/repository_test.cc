#include "image/repository.h"

#include "support/image_host.h"

namespace godwit::image {
namespace {

using testing::ImageHost;
using testing::sample_image;

std::vector<std::string> ids(const Repository& images) {
  std::vector<std::string> out;
  for (const auto& each : images.list()) out.push_back(each.id);
  return out;
}

TEST(RepositoryTest, AnImageThatHasComeIsThereBitForBit) {
  ImageHost host;
  const auto image = sample_image(1);
  ASSERT_TRUE(host.receive(image));
  const auto status = host.images().find(image.id);
  ASSERT_TRUE(status);
  EXPECT_TRUE(status->complete());
  EXPECT_EQ(status->manifest, image.manifest);
  testing::expect_true_to(host, image);
}

TEST(RepositoryTest, ItIsThereStillAfterARestartAndAfterALossOfPower) {
  ImageHost host;
  const auto image = sample_image(1);
  {
    const auto lease = host.images().begin(image.text, {}, "a transfer");
    ASSERT_TRUE(lease);
    ASSERT_TRUE(host.receive(**lease, image));
    ASSERT_TRUE(host.settle(*lease));
  }
  host.restart();
  EXPECT_TRUE(host.images().find(image.id)->complete());
  host.lose_power();
  ASSERT_TRUE(host.boot());
  EXPECT_TRUE(host.images().find(image.id)->complete());
  testing::expect_true_to(host, image);
  EXPECT_EQ(host.images().manifest_of(image.id).value(), image.text);
}

TEST(RepositoryTest, WhatHasComeIsOnDiskWithinASecondOrTwo) {
  ImageHost host;
  const auto image = sample_image(1);
  ASSERT_TRUE(host.receive(image));
  host.run_for(2 * kSettleEvery);
  host.lose_power();
  ASSERT_TRUE(host.boot());
  EXPECT_TRUE(host.images().find(image.id)->complete());
  testing::expect_true_to(host, image);
}

TEST(RepositoryTest, AnImageThatIsOnItsWayGoesOnWhereItWas) {
  ImageHost host;
  const auto image = sample_image(1);
  {
    const auto lease = host.images().begin(image.text, {}, "a transfer");
    ASSERT_TRUE(lease && (*lease)->set_list(image.list));
    ASSERT_TRUE((*lease)->put(0, image.pieces[0]) && (*lease)->put(3, image.pieces[3]));
    ASSERT_TRUE(host.settle(*lease));
    ASSERT_TRUE((*lease)->put(4, image.pieces[4]));
  }
  host.lose_power();
  ASSERT_TRUE(host.boot());
  const auto lease = host.images().begin(image.text, {}, "a transfer");
  ASSERT_TRUE(lease);
  EXPECT_TRUE((*lease)->has_list());
  EXPECT_TRUE((*lease)->has(0) && (*lease)->has(3));
  EXPECT_FALSE((*lease)->has(4)) << "nobody knows whether it reached the disk";
  EXPECT_TRUE((*lease)->has(1) && (*lease)->is_zero(1)) << "zeros are here with the list";
  EXPECT_FALSE((*lease)->complete());
  ASSERT_TRUE(host.receive(**lease, image));
  EXPECT_TRUE((*lease)->complete());
  testing::expect_true_to(host, image);
}

TEST(RepositoryTest, TwoThatBeginOneImageFillTheSame) {
  ImageHost host;
  const auto image = sample_image(1);
  const auto one = host.images().begin(image.text, {}, "one");
  const auto other = host.images().begin(image.text, {}, "other");
  ASSERT_TRUE(one && other);
  EXPECT_EQ(one->get(), other->get());
  ASSERT_TRUE((*one)->set_list(image.list) && (*other)->set_list(image.list));
  for (std::uint64_t piece = 0; piece < image.pieces.size(); ++piece) {
    ASSERT_TRUE((piece % 2 == 0 ? *one : *other)->put(piece, image.pieces[piece]));
    ASSERT_TRUE((*one)->put(piece, image.pieces[piece])) << "twice is once";
  }
  testing::expect_true_to(host, image);
  EXPECT_EQ(ids(host.images()).size(), 1U);
}

TEST(RepositoryTest, APieceWithAnotherDigestIsNotTaken) {
  ImageHost host;
  const auto image = sample_image(1);
  const auto lease = host.images().begin(image.text, {}, "a transfer");
  ASSERT_TRUE(lease && (*lease)->set_list(image.list));
  for (const std::size_t at : {0UL, 4095UL, 65535UL}) {
    auto altered = image.pieces[0];
    altered[at] ^= std::byte{1};
    EXPECT_EQ((*lease)->put(0, altered).error().code, Errc::not_authentic);
  }
  EXPECT_EQ((*lease)->put(3, image.pieces[0]).error().code, Errc::not_authentic);
  EXPECT_FALSE((*lease)->has(0));
}

TEST(RepositoryTest, AListThatTheManifestDoesNotNameIsNotTaken) {
  ImageHost host;
  const auto image = sample_image(1);
  const auto lease = host.images().begin(image.text, {}, "a transfer");
  ASSERT_TRUE(lease);
  auto altered = image.list;
  altered[40] ^= std::byte{1};
  EXPECT_EQ((*lease)->set_list(altered).error().code, Errc::not_authentic);
  EXPECT_FALSE((*lease)->has_list());
  EXPECT_FALSE(host.images().begin(image.text + " ", {}, "a transfer")) << "no manifest";
  EXPECT_EQ(host.images().begin(image.text, ByteVector(513), "a transfer").error().code, Errc::invalid_argument);
}

// What is beyond the end of a file can't be stored, whoever has named it.
TEST(RepositoryTest, APieceThatGoesOnBehindItsFileIsNotTaken) {
  ImageHost host;
  auto image = sample_image(1);
  auto& last = image.pieces.back();
  last[5000] = std::byte{1};
  PieceDigester digester;
  std::ranges::copy(digester.digest(last), image.list.end() - 32);
  image.manifest.files.back().root = to_hex(root_of(image.manifest.files.back().bytes, ByteView(image.list).last(32)));
  const auto lease = host.images().begin(print_manifest(image.manifest), {}, "a transfer");
  ASSERT_TRUE(lease && (*lease)->set_list(image.list));
  EXPECT_EQ((*lease)->put(image.pieces.size() - 1, last).error().code, Errc::not_authentic);
}

TEST(RepositoryTest, WhatTheDiskAlteredIsFoundWhenItIsReadAndCanComeAgain) {
  ImageHost host;
  const auto image = sample_image(1);
  ASSERT_TRUE(host.receive(image));
  const auto lease = host.images().open(image.id, "a transfer");
  ASSERT_TRUE(lease);
  host.page_files().flip((*lease)->path(Role::disk), 3 * kPiece_bytes + 5);
  ByteVector piece(kPiece_bytes);
  EXPECT_EQ((*lease)->read(3, piece).error().code, Errc::not_authentic);
  EXPECT_FALSE((*lease)->has(3));
  EXPECT_EQ((*lease)->read(3, piece).error().code, Errc::not_found);
  ASSERT_TRUE((*lease)->put(3, image.pieces[3]));
  testing::expect_true_to(host, image);
}

TEST(RepositoryTest, ImagesAreFoundByTheirIdAsUsersWriteIt) {
  ImageHost host;
  const auto one = sample_image(1);
  const auto two = sample_image(2);
  ASSERT_TRUE(host.receive(one) && host.receive(two));
  auto& images = host.images();
  EXPECT_EQ(images.resolve(one.id).value(), one.id);
  EXPECT_EQ(images.resolve(ami_of(two.id)).value(), two.id);
  EXPECT_EQ(images.resolve(one.id.substr(0, 12)).value(), one.id);
  EXPECT_EQ(images.resolve("ami-00000000000000000").error().code, Errc::not_found);
  EXPECT_EQ(images.resolve("ami-").error().code, Errc::invalid_argument);
  EXPECT_EQ(images.open(ImageId(64, '0'), "x").error().code, Errc::not_found);
}

TEST(RepositoryTest, TheCloudsSignatureStaysWithTheImage) {
  ImageHost host;
  const auto image = sample_image(1);
  const ByteVector signature(120, std::byte{7});
  ASSERT_TRUE(host.images().begin(image.text, signature, "a transfer"));
  host.restart();
  EXPECT_EQ(host.images().signature_of(image.id).value(), signature);
}

TEST(RepositoryTest, AFullDiskIsAnErrorAndWhatIsHereStays) {
  ImageHost host;
  const auto image = sample_image(1);
  const auto lease = host.images().begin(image.text, {}, "a transfer");
  ASSERT_TRUE(lease && (*lease)->set_list(image.list));
  ASSERT_TRUE((*lease)->put(0, image.pieces[0]));
  host.fuse().writes_left = 1;  // the next write is half of what a piece needs
  EXPECT_FALSE((*lease)->put(3, image.pieces[3]));
  EXPECT_FALSE((*lease)->has(3));
  host.fuse() = {};
  ASSERT_TRUE(host.receive(**lease, image));
  testing::expect_true_to(host, image);
}

TEST(RepositoryTest, OneProcessHasADirectory) {
  ImageHost host;
  Repository other(host.runtime(), testing::kImages);
  const auto refused = other.start();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::conflict);
}

TEST(RepositoryTest, ADamagedManifestLeavesTheImageOutAndTheImageComesAgain) {
  ImageHost host;
  const auto image = sample_image(1);
  const auto other = sample_image(2);
  ASSERT_TRUE(host.receive(image) && host.receive(other));
  host.run_for(2 * kSettleEvery);
  const auto path = fmt::format("{}/{}/manifest.json", testing::kImages, image.id);
  ASSERT_TRUE(host.files().write_atomic(path, image.text.substr(0, 50), 0644));
  host.restart();
  EXPECT_EQ(ids(host.images()), std::vector<std::string>{other.id});
  ASSERT_TRUE(host.files().write_atomic(path, other.text, 0644));
  host.restart();
  EXPECT_EQ(ids(host.images()), std::vector<std::string>{other.id});
  const auto lease = host.images().begin(image.text, {}, "a transfer");
  ASSERT_TRUE(lease);
  EXPECT_TRUE((*lease)->complete()) << "its pieces were never lost";
  testing::expect_true_to(host, image);
}

TEST(RepositoryTest, WhereAFileIsMissingNothingIsBelieved) {
  ImageHost host;
  const auto image = sample_image(1);
  ASSERT_TRUE(host.receive(image));
  host.run_for(2 * kSettleEvery);
  ASSERT_TRUE(host.page_files().remove(fmt::format("{}/{}/kernel", testing::kImages, image.id)));
  host.restart();
  EXPECT_FALSE(host.images().find(image.id)->complete());
  ASSERT_TRUE(host.receive(image));
  testing::expect_true_to(host, image);
}

}  // namespace
}  // namespace godwit::image
