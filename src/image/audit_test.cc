#include "image/audit.h"

#include "image/export.h"
#include "support/image_host.h"

namespace godwit::image {
namespace {

using testing::ImageHost;
using testing::sample_image;

sys::Task<void> audit_into(ImageHost& host, Lease image, Result<AuditReport>& outcome) {
  outcome = co_await audit(host.runtime(), host.images(), std::move(image), {});
}

Result<AuditReport> audit_of(ImageHost& host, const ImageId& id) {
  Result<AuditReport> outcome;
  auto lease = host.images().open(id, "image check");
  EXPECT_TRUE(lease);
  host.run(audit_into(host, std::move(*lease), outcome));
  return outcome;
}

std::string path_in(const testing::SampleImage& image, const char* name) {
  return fmt::format("{}/{}/{}", testing::kImages, image.id, name);
}

TEST(Audit, AWholeImageIsFoundWhole) {
  ImageHost host;
  const auto image = sample_image(1);
  ASSERT_TRUE(host.receive(image));
  const auto report = audit_of(host, image.id);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->pieces, image.pieces.size());
  EXPECT_TRUE(report->bad.empty());
  EXPECT_EQ(report->missing + report->cleared + report->found, 0U);
}

TEST(Audit, EveryFlippedBitIsFoundAndItsPieceComesAgain) {
  const auto image = sample_image(1);
  ImageHost host;
  ASSERT_TRUE(host.receive(image));
  std::uint64_t piece = 0;
  for (const auto& file : image.files) {
    for (std::uint64_t at = 0; at < file.bytes.size(); at += kPiece_bytes, ++piece) {
      SCOPED_TRACE(fmt::format("{} at {}", to_string(file.role), at));
      const auto offset = at + (piece * 4099) % std::min<std::uint64_t>(kPiece_bytes, file.bytes.size() - at);
      host.page_files().flip(path_in(image, std::string(to_string(file.role)).c_str()), offset);
      const auto report = audit_of(host, image.id);
      ASSERT_TRUE(report) << report.error().message;
      const auto lease = host.images().open(image.id, "the test");
      if ((*lease)->is_zero(piece)) {
        EXPECT_EQ(report->cleared, 1U);
        EXPECT_TRUE(report->bad.empty());
      } else {
        EXPECT_EQ(report->bad, std::vector<std::uint64_t>{piece});
        EXPECT_EQ(report->missing, 1U);
        EXPECT_FALSE((*lease)->has(piece));
        ASSERT_TRUE((*lease)->put(piece, image.pieces[piece]));
      }
      ASSERT_TRUE((*lease)->complete());
    }
  }
  testing::expect_true_to(host, image);
}

TEST(Audit, WhatItFoundIsRememberedOverALossOfPower) {
  ImageHost host;
  const auto image = sample_image(1);
  ASSERT_TRUE(host.receive(image));
  host.run_for(2 * kSettleEvery);
  host.page_files().flip(path_in(image, "disk"), 3 * kPiece_bytes);
  ASSERT_TRUE(audit_of(host, image.id));
  host.lose_power();
  ASSERT_TRUE(host.boot());
  EXPECT_EQ(host.images().find(image.id)->missing, 1U);
}

TEST(Audit, AfterTheWordOnWhatIsHereWasLostItFindsAllAgain) {
  ImageHost host;
  const auto image = sample_image(1);
  ASSERT_TRUE(host.receive(image));
  host.run_for(2 * kSettleEvery);
  host.page_files().flip(path_in(image, "here"), 600);
  host.page_files().flip(path_in(image, "blocks"), 5);
  host.restart();
  EXPECT_FALSE(host.images().find(image.id)->complete()) << "what is said in a damaged sector is not believed";
  const auto report = audit_of(host, image.id);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->found, host.images().find(image.id)->pieces);
  EXPECT_TRUE(host.images().find(image.id)->complete());
  testing::expect_true_to(host, image);
}

TEST(Audit, DigestsOfBlocksAreTrueWhateverTheDiskMadeOfThem) {
  ImageHost host;
  const auto image = sample_image(1);
  ASSERT_TRUE(host.receive(image));
  host.page_files().flip(path_in(image, "blocks"), 7);
  const auto lease = host.images().open(image.id, "the test");
  PieceDigester digester;
  for (std::uint64_t piece = 0; piece < image.pieces.size(); ++piece) {
    std::array<std::byte, kPieceBlocks_bytes> told;
    std::array<std::byte, kPieceBlocks_bytes> right;
    ASSERT_TRUE((*lease)->read_blocks(piece, told));
    (void)digester.digest(image.pieces[piece], right);
    EXPECT_EQ(told, right) << piece;
  }
}

TEST(Audit, WithoutItsListNothingCanBeSaid) {
  ImageHost host;
  const auto image = sample_image(1);
  ASSERT_TRUE(host.images().begin(image.text, {}, "a transfer"));
  EXPECT_EQ(audit_of(host, image.id).error().code, Errc::not_found);
}

TEST(Audit, ADiskThatCannotBeReadIsAnErrorAndTakesNothingAway) {
  ImageHost host;
  const auto image = sample_image(1);
  ASSERT_TRUE(host.receive(image));
  host.page_files().fail_reads(true);
  EXPECT_EQ(audit_of(host, image.id).error().code, Errc::io);
  host.page_files().fail_reads(false);
  EXPECT_TRUE(host.images().find(image.id)->complete());
}

constexpr const char* kExported = "/home/exported";

sys::Task<void> export_into(ImageHost& host, Lease image, std::string format, Result<>& outcome) {
  outcome = co_await export_file(host.runtime(), std::move(image), Role::disk, kExported, std::move(format));
}

TEST(Export, WhatIsNotWholeOrWasAlteredIsNotGivenOut) {
  ImageHost host;
  const auto image = sample_image(1);
  ASSERT_TRUE(host.page_files().make_directory("/home", 0755));
  ASSERT_TRUE(host.receive(image));
  Result<> outcome;
  host.page_files().flip(path_in(image, "disk"), 3 * kPiece_bytes);
  host.run(export_into(host, host.images().open(image.id, "x").value(), "raw", outcome));
  EXPECT_EQ(outcome.error().code, Errc::not_authentic);
  EXPECT_FALSE(host.page_files().exists(kExported)) << "nothing is left of it";
  host.run(export_into(host, host.images().open(image.id, "x").value(), "raw", outcome));
  EXPECT_EQ(outcome.error().code, Errc::conflict) << "a piece is missing now";
  ASSERT_TRUE(host.receive(image));
  host.run(export_into(host, host.images().open(image.id, "x").value(), "raw", outcome));
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(host.read_file(kExported), image.file(Role::disk));
  host.run(export_into(host, host.images().open(image.id, "x").value(), "vmdk", outcome));
  EXPECT_EQ(outcome.error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace godwit::image
