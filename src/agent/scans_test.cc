// Guests of simulated QEMUs that this host's agent has adopted, and what is looked at of their memory, and when.
#include "agent/scans.h"

#include "sim/qemu.h"
#include "support/pages.h"

#include <gtest/gtest.h>

namespace godwit::agent {
namespace {

using testing::page_of;

constexpr std::uint32_t kRate_MiB_per_s = 8;
constexpr std::size_t kGuest_bytes = 32UL * 1024 * 1024;  // the least that is taken for a guest's memory
constexpr std::size_t kGuest_pages = kGuest_bytes / kPage_bytes;
constexpr Seconds kOnce{kGuest_bytes / kRate_MiB_per_s / 1024 / 1024};  // through one guest
constexpr std::uint64_t kSecond_pages = kRate_MiB_per_s * 1024 * 1024 / kPage_bytes;

class Bare final : public sim::Program {};

class ScansTest : public ::testing::Test {
 protected:
  ScansTest() { sim::install_qemu(host_, guests_, {}); }
  ~ScansTest() override {
    gate_.cancel();
    run(instances_.stop());
  }

  void run(sys::Task<void> task) {
    bool ended = false;
    auto whole = [](sys::Task<void> each, bool& over) -> sys::Task<void> {
      co_await std::move(each);
      over = true;
    };
    process_.spawn(whole(std::move(task), ended));
    EXPECT_TRUE(world_.run_until([&] { return ended; }, Seconds{60}));
  }
  void scan(std::uint32_t rate_MiB_per_s = kRate_MiB_per_s) {
    scans_.emplace(runtime_, instances_, store_, images_, rate_MiB_per_s, [this] { return busy_; });
    gate_.spawn(scans_->run());
  }

  // A guest whose memory has page_of(first) and those that follow, `count` of them, and then zeros.
  void add_guest(const std::string& id, std::uint64_t first, std::size_t count) {
    InstanceRecord record;
    record.spec.id = id;
    record.spec.tenant = "alice";
    instances_.restore({record});
    run(launch(id));
    fill(id, first, count);
  }
  sys::Task<void> launch(std::string id) {
    hypervisor::MachineSpec spec;
    spec.id = id;
    spec.directory = instances_.find(id)->directory();
    spec.machine_type = "pc-q35-7.2";
    spec.cpu_model = "Nehalem";
    spec.accelerator = "tcg";
    spec.disk_path = spec.directory + "/disk.qcow2";
    spec.serial = hypervisor::serial_of(id);
    EXPECT_TRUE(host_.files().make_directories(spec.directory, 0700, 0));
    EXPECT_TRUE(host_.files().write_atomic(spec.disk_path, "QFI\xfb an overlay", 0600));
    const hypervisor::QemuProgram qemu;
    auto launched = co_await hypervisor::Machine::launch(runtime_, qemu, spec, hypervisor::Launch::cold);
    if (!launched) {
      ADD_FAILURE() << launched.error().message;
      co_return;
    }
    co_await (*launched)->detach();
    const auto adopted = co_await instances_.find(id)->adopt();
    EXPECT_TRUE(adopted) << adopted.error().message;
  }
  void fill(const std::string& id, std::uint64_t first, std::size_t count) {
    ByteVector memory;
    for (std::size_t i = 0; i < count; ++i) append(memory, page_of(first + i));
    memory.resize(kGuest_bytes);
    const auto process = fmt::format("/proc/{}", instances_.find(id)->machine()->process().pid);
    EXPECT_TRUE(host_.files().make_directories(process, 0755, 0));
    const auto maps = fmt::format("00000000-{:08x} rw-p 00000000 00:00 0\n", kGuest_bytes);
    EXPECT_TRUE(host_.files().write_atomic(process + "/maps", maps, 0600));
    host_.page_files().put(process + "/mem", memory);
  }
  void overwrite(const std::string& id, std::size_t at, ByteView page) {
    const auto memory = fmt::format("/proc/{}/mem", instances_.find(id)->machine()->process().pid);
    EXPECT_TRUE(host_.page_files().reopen(memory).value()->write_at(at * kPage_bytes, page));
  }

  content::PageId find(ByteView page) { return store_.find(domain_, page, content::fingerprint_of(page)); }
  std::uint64_t kept() const { return store_.use().pages; }

  sim::Guests guests_;
  sim::World world_{1};
  sim::Host& host_{world_.add_host("a1", "site-a", "10.1.0.1")};
  sim::Process& process_{
      host_.start("agent", {"a1.cloud-a.godwit", "cloud-a"}, [](sim::Process&) { return std::make_unique<Bare>(); })};
  sys::Runtime& runtime_{process_.runtime()};
  AgentConfig config_{[] {
    AgentConfig config;
    config.state_directory = "/state";
    return config;
  }()};
  Records records_{runtime_.files, config_.state_directory};
  Images host_images_{runtime_, config_, [] {}, [](const std::string&) {}};
  InstanceContext context_{
      runtime_, records_, host_images_, {}, {}, "/state/instances", [](const std::string&) { return 1400U; }, [] {}};
  Instances instances_{context_, 200'000};
  sim::PageFiles content_;  // another disk: its reads are not the guests'
  content::Store store_{content_, "/store", {}};
  content::Domain domain_{store_.domain("alice")};
  content::Library images_{
      [](const std::string&) -> Result<std::unique_ptr<content::Blocks>> { return fail(Errc::not_found, "no image"); }};
  bool busy_{false};
  std::optional<Scans> scans_;
  sys::Gate gate_{runtime_.executor};
};

const std::string kWeb = "i-0123456789abcdef0";
const std::string kDb = "i-0123456789abcdef1";

TEST_F(ScansTest, AGuestIsLookedThroughAtTheRateThatWasAskedFor) {
  add_guest(kWeb, 0, kGuest_pages);
  scan();
  world_.run_for(kOnce);
  EXPECT_EQ(kept(), 0U) << "seen once";
  world_.run_for(Seconds{2});
  EXPECT_LE(kept(), 2 * kSecond_pages);
  EXPECT_GE(kept(), 2 * kSecond_pages * 9 / 10);
}

TEST_F(ScansTest, TwoGuestsShareTheRate) {
  add_guest(kWeb, 0, kGuest_pages);
  add_guest(kDb, 100'000, kGuest_pages);
  scan();
  world_.run_for(2 * kOnce);
  EXPECT_EQ(kept(), 0U);
  world_.run_for(Seconds{2});
  EXPECT_LE(kept(), 2 * kSecond_pages);
  EXPECT_GE(kept(), 2 * kSecond_pages * 9 / 10);
  EXPECT_NE(find(page_of(0)), 0U);
  EXPECT_NE(find(page_of(100'000)), 0U) << "each has its turn";
}

TEST_F(ScansTest, WithoutARateNothingIsLookedAt) {
  add_guest(kWeb, 0, 100);
  const auto before = host_.page_files().reads();
  scan(0);
  world_.run_for(3 * kOnce);
  EXPECT_EQ(host_.page_files().reads(), before);
}

TEST_F(ScansTest, NothingIsLookedAtWhileAGuestMigrates) {
  add_guest(kWeb, 0, 100);
  busy_ = true;
  const auto before = host_.page_files().reads();
  scan();
  world_.run_for(3 * kOnce);
  EXPECT_EQ(host_.page_files().reads(), before);
  busy_ = false;
  world_.run_for(kOnce / 2);
  const auto half = host_.page_files().reads();
  EXPECT_GT(half, before);
  busy_ = true;
  world_.run_for(3 * kOnce);
  EXPECT_EQ(host_.page_files().reads(), half);
  EXPECT_EQ(kept(), 0U);
  busy_ = false;
  world_.run_for(kOnce);
  EXPECT_EQ(kept(), 100U) << "it goes on where it was";
}

// A reference to what was kept gets the bytes that it means, whatever the guest has written there since.
TEST_F(ScansTest, WhatWasKeptStaysAsItWasWhenTheGuestWritesOverIt) {
  constexpr std::size_t kChanged = 7;
  add_guest(kWeb, 0, 100);
  scan();
  world_.run_for(kOnce / 2);
  const auto later = page_of(5'000);
  overwrite(kWeb, kChanged, later);
  world_.run_for(kOnce);
  EXPECT_EQ(kept(), 99U);
  EXPECT_EQ(find(page_of(kChanged)), 0U) << "it was seen once";
  EXPECT_EQ(find(later), 0U) << "likewise";
  const auto id = find(page_of(kChanged + 1));
  ASSERT_NE(id, 0U);
  overwrite(kWeb, kChanged + 1, later);
  world_.run_for(kOnce);
  EXPECT_NE(find(later), 0U) << "by now it was twice";
  ByteVector page(kPage_bytes);
  EXPECT_TRUE(store_.read(domain_, id, page));
  EXPECT_TRUE(page == page_of(kChanged + 1));
}

TEST_F(ScansTest, AQemuThatCannotBeReadIsLeftAloneAndItsNextOneIsLookedThroughAnew) {
  add_guest(kWeb, 0, 100);
  add_guest(kDb, 500, 100);
  scan();
  world_.run_for(kOnce);
  host_.page_files().fail_reads(true);
  world_.run_for(Seconds{1});
  host_.page_files().fail_reads(false);
  const auto before = host_.page_files().reads();
  world_.run_for(6 * kOnce);
  EXPECT_EQ(host_.page_files().reads(), before);
  EXPECT_EQ(kept(), 0U);
  run(instances_.find(kWeb)->machine()->kill());
  run(launch(kWeb));
  fill(kWeb, 1'000, 50);
  world_.run_for(kOnce * 5 / 2);
  EXPECT_EQ(kept(), 50U);
  EXPECT_NE(find(page_of(1'000)), 0U);
}

TEST_F(ScansTest, WhatOneQemuHadSaysNothingOfWhatTheNextHas) {
  add_guest(kWeb, 0, 100);
  scan();
  world_.run_for(kOnce / 2);
  run(instances_.find(kWeb)->machine()->kill());
  run(launch(kWeb));
  fill(kWeb, 1'000, 50);
  world_.run_for(kOnce * 3 / 2);
  EXPECT_EQ(kept(), 50U);
  EXPECT_NE(find(page_of(1'000)), 0U);
  EXPECT_EQ(find(page_of(0)), 0U);
}

}  // namespace
}  // namespace godwit::agent
