#include "sim/page_files.h"

#include "conformance/page_files_suite.h"
#include "support/event_loop.h"

namespace godwit::testing {
namespace {

struct SimHarness {
  sim::PageFiles simulated;

  SimHarness() { EXPECT_TRUE(simulated.clear_directory("/test")); }
  sys::PageFiles& files() { return simulated; }
  std::string path(const std::string& name) { return "/test/" + name; }
  void put(const std::string& name, ByteView content) { simulated.put(path(name), content); }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Simulated, PageFilesSuite, SimHarness);

TEST(SimPageFiles, AFullDiskRefusesGrowthAndKeepsWhatItHas) {
  sim::PageFiles files;
  auto file = files.create("/f");
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->write_at(0, as_bytes("before")));
  files.fill_disk(true);
  EXPECT_EQ((*file)->write_at(6, as_bytes("x")).error().code, Errc::exhausted);
  EXPECT_TRUE((*file)->write_at(0, as_bytes("BEFORE")));
  files.fail_reads(true);
  ByteVector read(6);
  EXPECT_EQ((*file)->read_at(0, read).error().code, Errc::io);
  files.fail_reads(false);
  ASSERT_TRUE((*file)->read_at(0, read));
  EXPECT_EQ(as_text(read), "BEFORE");
}

TEST(SimPageFiles, ALossOfPowerTakesAnyOfWhatWasNotSyncedAndNothingElse) {
  std::set<std::string> seen;
  for (unsigned seed = 0; seed < 64; ++seed) {
    std::mt19937_64 random(seed);
    sim::PageFiles files;
    files.remember_unsynced();
    auto file = files.create("/f");
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->write_at(0, as_bytes("synced")));
    EventLoop loop;
    const auto sync = [](sys::PageFile& into) -> sys::Task<void> {
      const auto synced = co_await into.sync();
      GODWIT_CO_ASSERT_OK(synced);
    };
    loop.run(sync(**file));
    ASSERT_TRUE((*file)->write_at(6, as_bytes(" one")));
    ASSERT_TRUE((*file)->write_at(0, as_bytes("SYNCED")));
    ASSERT_TRUE(files.create("/never"));
    files.lose_power(random);
    const auto after = files.open("/f");
    ASSERT_TRUE(after);
    ByteVector read((*after)->size());
    ASSERT_TRUE((*after)->read_at(0, read));
    seen.insert(std::string(as_text(read)) + (files.exists("/never") ? "+" : ""));
  }
  for (const auto* each : {"synced", "SYNCED one", "synced one", "synced+", "SYNCED one+"}) {
    EXPECT_TRUE(seen.contains(each)) << each;
  }
}

TEST(SimPageFiles, AFuseEndsTheDiskAfterSoManyWrites) {
  sim::PageFiles files;
  const auto fuse = std::make_shared<sim::Fuse>();
  files.use(fuse);
  auto file = files.create("/f");
  ASSERT_TRUE(file);
  fuse->writes_left = 1;
  EXPECT_TRUE((*file)->write_at(0, as_bytes("x")));
  EXPECT_EQ((*file)->write_at(0, as_bytes("y")).error().code, Errc::io);
  EXPECT_FALSE(files.create("/g"));
  EXPECT_TRUE(fuse->blown);
}

}  // namespace
}  // namespace godwit::testing
