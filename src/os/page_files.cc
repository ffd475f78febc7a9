#include "os/page_files.h"

#include "os/descriptor.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <limits>

namespace godwit::os {
namespace fs = std::filesystem;
namespace {

constexpr auto kLargestOffset = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());

class SystemPageFile final : public sys::PageFile {
 public:
  SystemPageFile(Descriptor file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}

  Result<> read_at(std::uint64_t offset, ByteSpan into) const override {
    while (!into.empty()) {
      if (offset > kLargestOffset) return ends_before(offset);
      const auto count = ::pread(file_.get(), into.data(), into.size(), static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return as_io(fail_errno(errno, fmt::format("read {} at {}", path_, offset)));
      if (count == 0) return ends_before(offset);
      into = into.subspan(static_cast<std::size_t>(count));
      offset += static_cast<std::uint64_t>(count);
    }
    return {};
  }

  Result<> write_at(std::uint64_t offset, ByteView bytes) override {
    while (!bytes.empty()) {
      if (offset > kLargestOffset) return fail(Errc::io, "write {} at {}: no file is so large", path_, offset);
      const auto count = ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return as_io(fail_errno(errno, fmt::format("write {} at {}", path_, offset)));
      bytes = bytes.subspan(static_cast<std::size_t>(count));
      offset += static_cast<std::uint64_t>(count);
    }
    return {};
  }

  std::uint64_t size() const override {
    struct stat found{};
    return ::fstat(file_.get(), &found) == 0 ? static_cast<std::uint64_t>(found.st_size) : 0;
  }

 private:
  [[nodiscard]] std::unexpected<Error> ends_before(std::uint64_t offset) const {
    return fail(Errc::io, "read {} at {}: the file ends before", path_, offset);
  }
  // What the seam names is told apart, all else is io.
  static std::unexpected<Error> as_io(std::unexpected<Error> failure) {
    if (failure.error().code != Errc::exhausted) failure.error().code = Errc::io;
    return failure;
  }

  Descriptor file_;
  std::string path_;
};

Result<Descriptor> open_file(const std::string& path, int flags, mode_t mode = 0) {
  for (;;) {
    Descriptor file(::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK, mode));
    if (file) return file;
    if (errno != EINTR) return fail_errno(errno, "open " + path);
  }
}

}  // namespace

Result<std::unique_ptr<sys::PageFile>> SystemPageFiles::open(const std::string& path) {
  auto file = open_file(path, O_RDONLY);
  if (!file) return pass(file);
  struct stat found{};
  if (::fstat(file->get(), &found) != 0) return fail_errno(errno, "stat " + path);
  if (!S_ISREG(found.st_mode)) return fail(Errc::invalid_argument, "open {}: not a regular file", path);
  return std::make_unique<SystemPageFile>(std::move(*file), path);
}

Result<std::unique_ptr<sys::PageFile>> SystemPageFiles::create(const std::string& path) {
  if (auto removed = remove(path); !removed) return pass(removed);
  auto file = open_file(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (!file) return pass(file);
  return std::make_unique<SystemPageFile>(std::move(*file), path);
}

Result<> SystemPageFiles::remove(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "remove " + path);
  return {};
}

Result<> SystemPageFiles::clear_directory(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return fail_errno(error.value(), "make directory " + path);
  if (::chmod(path.c_str(), 0700) != 0) return fail_errno(errno, "chmod " + path);
  for (fs::directory_iterator each(path, error); !error && each != fs::directory_iterator(); each.increment(error)) {
    std::error_code ignored;
    if (fs::is_directory(each->symlink_status(ignored))) continue;
    if (auto removed = remove(each->path().string()); !removed) return removed;
  }
  if (error) return fail_errno(error.value(), "list " + path);
  return {};
}

}  // namespace godwit::os
