#include "image/qcow2.h"

#include "support/temp_directory.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

namespace godwit::image {
namespace {

struct Output {
  int status;
  std::string text;
};

Output run(const std::string& command) {
  Output out{-1, ""};
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  char buffer[4096];
  while (const auto count = fread(buffer, 1, sizeof buffer, pipe)) out.text.append(buffer, count);
  out.status = pclose(pipe);
  return out;
}

class Overlay : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(run("qemu-img create -q -f qcow2 " + directory_ + "/base 3G").status, 0);
    ASSERT_EQ(run("qemu-io -c 'write -P 7 1M 64k' " + directory_ + "/base").status, 0);
  }
  testing::TempDirectory made_;
  std::string directory_{made_.path()};
};

TEST_F(Overlay, IsWhatQemuMakesOfItAndReadsThroughToTheBase) {
  for (const std::uint64_t gib : {3ULL, 8ULL, 64ULL * 1024}) {
    const auto content = make_overlay(gib << 30U, directory_ + "/base", "qcow2");
    ASSERT_TRUE(content);
    const auto path = directory_ + "/overlay";
    std::ofstream(path, std::ios::binary) << *content;
    const auto check = run("qemu-img check " + path);
    EXPECT_EQ(check.status, 0) << check.text;
    EXPECT_NE(check.text.find("No errors"), std::string::npos) << check.text;
    const auto info = run("qemu-img info " + path);
    EXPECT_NE(info.text.find(fmt::format("({} bytes)", gib << 30U)), std::string::npos) << info.text;
    EXPECT_NE(info.text.find("backing file format: qcow2"), std::string::npos) << info.text;
    EXPECT_EQ(run("qemu-io -c 'read -P 7 1M 64k' " + path).text.find("verification failed"), std::string::npos);
    ASSERT_EQ(run("qemu-io -c 'write -P 9 2G 1M' -c 'read -P 9 2G 1M' " + path).status, 0);
    EXPECT_EQ(run("qemu-img check " + path).status, 0);
  }
}

TEST(OverlayArguments, AreRefusedWhenTheyMakeNoSense) {
  EXPECT_FALSE(make_overlay(0, "/base", "qcow2"));
  EXPECT_FALSE(make_overlay(513, "/base", "qcow2"));
  EXPECT_FALSE(make_overlay(1 << 20, "relative", "qcow2"));
  EXPECT_FALSE(make_overlay(1 << 20, "/base", ""));
  EXPECT_FALSE(make_overlay(1 << 20, "/" + std::string(2000, 'x'), "raw"));
}

}  // namespace
}  // namespace godwit::image
