#include "sim/page_files.h"

#include "conformance/page_files_suite.h"

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

}  // namespace
}  // namespace godwit::testing
