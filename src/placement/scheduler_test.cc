#include "placement/scheduler.h"

#include <gtest/gtest.h>

namespace godwit::placement {
namespace {

const std::string kImage(64, 'a');

HostOffer offer(std::string name) {
  return {std::move(name),        true, {4, 2048, 40}, {}, "tcg", {"pc", "pc-q35-6.2", "pc-q35-7.2"}, {"Nehalem"},
          {{"debian-12", kImage}}};
}

Demand demand() { return {{1, 512, 8}, "debian-12", kImage, "", "", "Nehalem", "", ""}; }

TEST(Scheduler, SpreadsByFreeMemoryAndThenByName) {
  auto a1 = offer("a1");
  auto a2 = offer("a2");
  EXPECT_EQ(choose_host(demand(), {a2, a1}), "a1");
  a1.used = {1, 512, 8};
  EXPECT_EQ(choose_host(demand(), {a1, a2}), "a2");
}

TEST(Scheduler, AFullCloudIsExhaustedAndSaysWhatEachHostLacks) {
  auto a1 = offer("a1");
  auto a2 = offer("a2");
  a1.used = {0, 1792, 0};
  a2.used = {4, 0, 36};
  const auto chosen = choose_host(demand(), {a1, a2});
  ASSERT_FALSE(chosen);
  EXPECT_EQ(chosen.error().code, Errc::exhausted);
  EXPECT_EQ(
      chosen.error().message,
      "no host can take 1 vCPU, 512 MiB, 8 GiB (a1: 256 of 512 MiB memory free; a2: 0 of 1 vCPUs free, 4 of 8 GiB "
      "disk free)");
}

TEST(Scheduler, SaysWhichFeatureIsMissing) {
  const auto refused = [](Demand asked, HostOffer offered) {
    const auto chosen = choose_host(asked, {std::move(offered)});
    return chosen ? Error{} : chosen.error();
  };
  auto asked = demand();
  asked.accelerator = "kvm";
  EXPECT_EQ(refused(asked, offer("a1")).code, Errc::unsupported);
  EXPECT_NE(refused(asked, offer("a1")).message.find("has accelerator tcg, not kvm"), std::string::npos);
  asked = demand();
  asked.machine_type = "pc-q35-9.0";
  EXPECT_NE(refused(asked, offer("a1")).message.find("machine type pc-q35-9.0"), std::string::npos);
  asked = demand();
  asked.cpu_model = "Skylake-Server";
  EXPECT_NE(refused(asked, offer("a1")).message.find("CPU model Skylake-Server"), std::string::npos);
  asked = demand();
  asked.queue_pairs = 2;  // its agent is of before there was a choice
  EXPECT_EQ(refused(asked, offer("a1")).code, Errc::unsupported);
  EXPECT_NE(refused(asked, offer("a1")).message.find("1 pairs of queues at most, not 2"), std::string::npos);
  asked = demand();
  asked.image_sha256 = std::string(64, 'b');
  EXPECT_EQ(refused(asked, offer("a1")).code, Errc::unavailable);
  auto silent = offer("a1");
  silent.alive = false;
  EXPECT_EQ(refused(demand(), silent).code, Errc::unavailable);
  EXPECT_EQ(choose_host(demand(), {}).error().code, Errc::unavailable);
}

TEST(Scheduler, TakesTheHostThatIsNamedOrNone) {
  auto asked = demand();
  asked.host = "a2";
  EXPECT_EQ(choose_host(asked, {offer("a1"), offer("a2")}), "a2");
  asked.host = "a3";
  EXPECT_EQ(choose_host(asked, {offer("a1"), offer("a2")}).error().code, Errc::not_found);
  asked = demand();
  asked.not_host = "a1";
  EXPECT_EQ(choose_host(asked, {offer("a1"), offer("a2")}), "a2");
}

TEST(Scheduler, VersionsAreNumbersNotWords) {
  EXPECT_EQ(newest_q35({"q35", "pc-q35-7.2", "pc-q35-10.0", "pc-q35-9.2", "pc-i440fx-99.0", "pc-q35-rhel"}),
            "pc-q35-10.0");
  EXPECT_EQ(newest_q35({"q35", "pc"}), "");
}

}  // namespace
}  // namespace godwit::placement
