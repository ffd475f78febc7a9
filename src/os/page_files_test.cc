#include "os/page_files.h"

#include "conformance/page_files_suite.h"
#include "support/temp_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <fstream>

namespace godwit::testing {
namespace {

struct SystemHarness {
  TempDirectory directory;
  os::SystemPageFiles system;

  sys::PageFiles& files() { return system; }
  std::string path(const std::string& name) { return directory / name; }
  void put(const std::string& name, ByteView content) {
    std::ofstream(path(name), std::ios::binary) << as_text(content);
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(System, PageFilesSuite, SystemHarness);

unsigned mode_of(const std::string& path) {
  struct stat found{};
  return ::stat(path.c_str(), &found) == 0 ? found.st_mode & 07777U : 0;
}

TEST(SystemPageFiles, NobodyElseReadsWhatGuestsHadInMemory) {
  TempDirectory directory;
  os::SystemPageFiles files;
  ASSERT_TRUE(files.clear_directory(directory / "store"));
  ASSERT_TRUE(files.create(directory / "store/segment"));
  EXPECT_EQ(mode_of(directory / "store"), 0700U);
  EXPECT_EQ(mode_of(directory / "store/segment"), 0600U);
}

TEST(SystemPageFiles, WhoMayReadAnImageIsSaidWhenItIsMade) {
  TempDirectory directory;
  os::SystemPageFiles files;
  ASSERT_TRUE(files.make_directory(directory / "images", 0711));
  ASSERT_TRUE(files.create(directory / "images/disk", 0644));
  EXPECT_EQ(mode_of(directory / "images"), 0711U);
  EXPECT_EQ(mode_of(directory / "images/disk"), 0644U);
}

TEST(SystemPageFiles, ASymbolicLinkIsNoFileToWriteTo) {
  TempDirectory directory;
  os::SystemPageFiles files;
  ASSERT_TRUE(files.create(directory / "real"));
  ASSERT_EQ(::symlink((directory / "real").c_str(), (directory / "link").c_str()), 0);
  EXPECT_FALSE(files.reopen(directory / "link"));
}

TEST(SystemPageFiles, ASyncThatNobodyWaitsForAnyMoreHurtsNobody) {
  TempDirectory directory;
  os::SystemPageFiles files;
  auto file = files.create(directory / "file");
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->write_at(0, ByteVector(1UL << 20U, std::byte{1})));
  boost::asio::io_context context{1};
  boost::asio::co_spawn(context, (*file)->sync(), boost::asio::detached);
  context.poll_one();  // it has begun
  file->reset();
}

TEST(SystemPageFiles, AFifoIsRefusedWithoutWaitingForAWriter) {
  TempDirectory directory;
  ASSERT_EQ(::mkfifo((directory / "fifo").c_str(), 0600), 0);
  os::SystemPageFiles files;
  const auto opened = files.open(directory / "fifo");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace godwit::testing
