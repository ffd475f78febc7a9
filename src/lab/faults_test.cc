#include "lab/faults.h"

#include "lab/test_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace godwit::lab {
namespace {

const Plan& plain() {
  static const Plan plan = plan_of(kOpenLab);
  return plan;
}

const Plan& translated() {
  static const Plan plan = plan_of(
      "[[cloud]]\nname = \"cloud-a\"\nnat = true\nhosts = [\"a1\", \"a2\"]\n"
      "[[cloud]]\nname = \"cloud-b\"\nnat = true\nhosts = [\"b1\"]\n[public]\nnodes = [\"user\"]\n");
  return plan;
}

// The rows of the table that are not as configured.
WanTable changed(const Plan& plan, const std::vector<Fault>& faults) {
  WanTable rows = effects_of(plan, faults).table;
  std::erase_if(rows,
                [&plan](const WanRow& row) { return std::ranges::find(plan.wan.table, row) != plan.wan.table.end(); });
  return rows;
}

std::string filters(const Plan& plan, const std::vector<Fault>& faults) {
  std::string all;
  for (const Command& command : effects_of(plan, faults).commands) all += command.input;
  return all;
}

TEST(LabFaults, WithoutFaultsAllIsAsConfigured) {
  EXPECT_EQ(effects_of(plain(), {}).table, plain().wan.table);
  EXPECT_EQ(filters(plain(), {}).find("drop"), std::string::npos);
}

TEST(LabFaults, ACutBetweenCloudsIsBothWaysAndTheirsAlone) {
  const auto rows = changed(plain(), {{.a = "cloud-b", .b = "cloud-a", .cut = true}});
  ASSERT_EQ(rows.size(), 2U);
  for (const WanRow& row : rows) EXPECT_TRUE(row.shape.cut && row.from + row.to == 1);
}

TEST(LabFaults, ACloudCutFromTheWanReachesNobody) {
  EXPECT_EQ(changed(plain(), {{.a = "wan", .b = "cloud-a", .cut = true}}).size(), 4U);
}

TEST(LabFaults, ThePairHoldsOverTheWan) {
  const auto rows = changed(plain(), {{.a = "cloud-a", .b = "cloud-b", .round_trip = Millis{80}},
                                      {.a = "cloud-a", .b = "wan", .round_trip = Millis{100}, .loss_ppm = 5}});
  ASSERT_EQ(rows.size(), 4U);
  for (const WanRow& row : rows) {
    EXPECT_EQ(row.shape.delay, Millis{row.from + row.to == 1 ? 40 : 50});
    EXPECT_EQ(row.shape.loss_ppm, 5U);
  }
}

TEST(LabFaults, AHostsRateStandsBeforeThatOfItsCloud) {
  const std::vector<Fault> faults{{.a = "cloud-a", .b = "cloud-b", .round_trip = Millis{80}},
                                  {.a = "b1", .b = "a1", .rate_bps = 1'000'000}};
  for (const Fault& fault : faults) EXPECT_TRUE(check_fault(plain(), fault));
  const WanTable table = effects_of(plain(), faults).table;
  ASSERT_EQ(table.size(), 8U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(table[i].shape, (LinkShape{.rate_bps = 1'000'000, .delay = Millis{40}}));
    const std::string source = format_prefix(table[i].source);
    const std::string destination = format_prefix(table[i].destination);
    EXPECT_TRUE(table[i].from == 0 ? source == "10.101.0.11" && destination == "10.102.0.11"
                                   : source == "10.102.0.11" && destination == "10.101.0.11");
  }
}

TEST(LabFaults, AHostIsCutAtItsLan) {
  const std::string rules = filters(plain(), {{.a = "a2", .b = "a1", .cut = true}});
  EXPECT_NE(rules.find("ip saddr 10.101.0.12 ip daddr 10.101.0.11 drop"), std::string::npos);
  EXPECT_NE(rules.find("ip daddr 10.101.0.12 ip saddr 10.101.0.11 drop"), std::string::npos);
  EXPECT_NE(
      filters(plain(), {{.a = "a2", .b = "wan", .cut = true}}).find("ip saddr 10.101.0.12 ip daddr != 10.101.0.0/24"),
      std::string::npos);
  EXPECT_NE(
      filters(plain(), {{.a = "cloud-b", .b = "a1", .cut = true}}).find("ip saddr 10.101.0.11 ip daddr 10.102.0.0/24"),
      std::string::npos);
}

TEST(LabFaults, BehindANatOnlyWhatCanBeToldApartIsOffered) {
  EXPECT_TRUE(check_fault(translated(), {.a = "a1", .b = "cloud-b", .cut = true}));
  EXPECT_TRUE(check_fault(translated(), {.a = "a1", .b = "a2", .cut = true}));
  EXPECT_EQ(check_fault(translated(), {.a = "a1", .b = "b1", .cut = true}).error().code, Errc::unsupported);
  EXPECT_EQ(check_fault(translated(), {.a = "a1", .b = "cloud-b", .rate_bps = 1000}).error().code, Errc::unsupported);
  EXPECT_NE(filters(translated(), {{.a = "a1", .b = "cloud-b", .cut = true}}).find("ip daddr 203.0.113.2 drop"),
            std::string::npos);
}

TEST(LabFaults, WhatMakesNoSenseIsRefused) {
  EXPECT_EQ(check_fault(plain(), {.a = "a1", .b = "nowhere"}).error().code, Errc::not_found);
  EXPECT_EQ(check_fault(plain(), {.a = "a1", .b = "cloud-a-router"}).error().code, Errc::not_found);
  EXPECT_EQ(check_fault(plain(), {.a = "a1", .b = "a1"}).error().code, Errc::invalid_argument);
  EXPECT_EQ(check_fault(plain(), {.a = "a1", .b = "a2", .rate_bps = 1000}).error().code, Errc::unsupported);
}

}  // namespace
}  // namespace godwit::lab
