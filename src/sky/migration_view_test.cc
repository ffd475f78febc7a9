#include "sky/migration_view.h"

#include <gtest/gtest.h>

namespace godwit::sky {
namespace {

using wire::MigrationPhase;
using wire::MigrationReport;

MigrationReport report(MigrationPhase phase) {
  MigrationReport out;
  out.id = "mig-1";
  out.phase = phase;
  out.from_cloud = "cloud-a";
  return out;
}
MigrationPhase phase(MigrationPhase known, std::optional<MigrationPhase> source,
                     std::optional<MigrationPhase> destination) {
  std::optional<MigrationReport> from;
  std::optional<MigrationReport> to;
  if (source) from = report(*source);
  if (destination) to = report(*destination);
  return combine(report(known), from, to).phase;
}

TEST(MigrationView, TheSourceTellsHowItGoes) {
  EXPECT_EQ(phase(MigrationPhase::disk, MigrationPhase::memory, MigrationPhase::preparing), MigrationPhase::memory);
  EXPECT_EQ(phase(MigrationPhase::disk, std::nullopt, MigrationPhase::preparing), MigrationPhase::disk);
  EXPECT_EQ(phase(MigrationPhase::disk, MigrationPhase::completed, std::nullopt), MigrationPhase::completed);
}

TEST(MigrationView, TheDestinationsOwnershipOutweighsTheSourcesSilenceAndDoubt) {
  EXPECT_EQ(phase(MigrationPhase::memory, std::nullopt, MigrationPhase::owned), MigrationPhase::owned);
  EXPECT_EQ(phase(MigrationPhase::memory, MigrationPhase::in_doubt, MigrationPhase::owned), MigrationPhase::owned);
  EXPECT_EQ(phase(MigrationPhase::owned, MigrationPhase::in_doubt, std::nullopt), MigrationPhase::owned);
  EXPECT_EQ(phase(MigrationPhase::memory, MigrationPhase::in_doubt, MigrationPhase::post_copy),
            MigrationPhase::post_copy);
  EXPECT_EQ(phase(MigrationPhase::post_copy, MigrationPhase::post_copy, MigrationPhase::owned), MigrationPhase::owned);
}

TEST(MigrationView, OnlyTheSourceAbortsForAll) {
  EXPECT_EQ(phase(MigrationPhase::disk, MigrationPhase::aborted, std::nullopt), MigrationPhase::aborted);
  EXPECT_EQ(phase(MigrationPhase::disk, MigrationPhase::memory, MigrationPhase::aborted), MigrationPhase::memory);
  EXPECT_EQ(phase(MigrationPhase::released, std::nullopt, MigrationPhase::aborted), MigrationPhase::released);
}

TEST(MigrationView, DoubtIsSaid) {
  EXPECT_EQ(phase(MigrationPhase::released, MigrationPhase::in_doubt, std::nullopt), MigrationPhase::in_doubt);
  EXPECT_EQ(phase(MigrationPhase::released, std::nullopt, MigrationPhase::in_doubt), MigrationPhase::in_doubt);
}

TEST(MigrationView, AReportAboutAnotherMigrationCannotSlipIn) {
  auto strange = report(MigrationPhase::memory);
  strange.id = "mig-2";
  strange.from_cloud = "cloud-x";
  strange.role = wire::MigrationRole::destination;
  const auto out = combine(report(MigrationPhase::disk), strange, std::nullopt);
  EXPECT_EQ(out.id, "mig-1");
  EXPECT_EQ(out.from_cloud, "cloud-a");
  EXPECT_EQ(out.role, wire::MigrationRole::source);
}

}  // namespace
}  // namespace godwit::sky
