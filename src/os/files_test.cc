#include "os/files.h"

#include "support/temp_directory.h"

#include <sys/stat.h>

#include <fstream>

namespace godwit::os {
namespace {

class Files : public ::testing::Test {
 protected:
  static unsigned mode_of(const std::string& path) {
    struct stat found{};
    return ::stat(path.c_str(), &found) == 0 ? found.st_mode & 07777U : 0;
  }
  testing::TempDirectory directory_;
  SystemFiles files_;
};

TEST_F(Files, WhatIsWrittenIsReadWithItsMode) {
  const auto path = directory_ / "record";
  ASSERT_TRUE(files_.write_atomic(path, "one", 0640));
  ASSERT_TRUE(files_.write_atomic(path, "two", 0600));
  EXPECT_EQ(files_.read(path, 3).value(), "two");
  EXPECT_EQ(mode_of(path), 0600U);
  EXPECT_EQ(files_.list(directory_.path()).value(), std::vector<std::string>{"record"}) << "no temporary file stays";
}

TEST_F(Files, AReadIsBounded) {
  const auto path = directory_ / "record";
  ASSERT_TRUE(files_.write_atomic(path, std::string(100'001, 'x'), 0600));
  EXPECT_EQ(files_.read(path, 100'000).error().code, Errc::exhausted);
  EXPECT_EQ(files_.read(path, 100'001).value().size(), 100'001U);
  EXPECT_EQ(files_.read(directory_ / "none", 1).error().code, Errc::not_found);
}

TEST_F(Files, AFailedWriteKeepsTheOldContent) {
  const auto path = directory_ / "d";
  ASSERT_TRUE(files_.make_directories(path, 0700, 0));
  const auto written = files_.write_atomic(path, "x", 0600);  // cannot replace a directory
  EXPECT_FALSE(written);
  EXPECT_EQ(files_.list(directory_.path()).value(), std::vector<std::string>{"d"});
}

TEST_F(Files, DirectoriesAreMadeWithTheirMode) {
  ASSERT_TRUE(files_.make_directories(directory_ / "a/b/c", 0711, 0));
  ASSERT_TRUE(files_.make_directories(directory_ / "a/b/c", 0700, 0));
  EXPECT_EQ(mode_of(directory_ / "a"), 0711U);
  EXPECT_EQ(mode_of(directory_ / "a/b/c"), 0711U) << "a directory that was there keeps its mode";
  ASSERT_TRUE(files_.write_atomic(directory_ / "f", "", 0600));
  EXPECT_FALSE(files_.make_directories(directory_ / "f", 0700, 0));
  EXPECT_FALSE(files_.make_directories(directory_ / "f/g", 0700, 0));
}

TEST_F(Files, RemovingWhatIsNotThereIsNoError) {
  EXPECT_TRUE(files_.remove(directory_ / "none"));
  EXPECT_TRUE(files_.remove_tree(directory_ / "none"));
  EXPECT_TRUE(files_.list(directory_ / "none").value().empty());
  ASSERT_TRUE(files_.make_directories(directory_ / "a/b", 0700, 0));
  ASSERT_TRUE(files_.write_atomic(directory_ / "a/b/f", "x", 0600));
  EXPECT_TRUE(files_.exists(directory_ / "a/b/f"));
  EXPECT_TRUE(files_.sync_file(directory_ / "a/b/f"));
  EXPECT_TRUE(files_.remove_tree(directory_ / "a"));
  EXPECT_FALSE(files_.exists(directory_ / "a"));
}

TEST_F(Files, OwnerChangesWithItsGroup) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_TRUE(files_.make_directories(directory_ / "home", 0700, 54321));
  struct stat found{};
  ASSERT_EQ(::stat((directory_ / "home").c_str(), &found), 0);
  EXPECT_EQ(found.st_uid, 54321U);
  EXPECT_EQ(found.st_gid, 54321U);
}

}  // namespace
}  // namespace godwit::os
