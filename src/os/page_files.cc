#include "os/page_files.h"

#include "os/descriptor.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <filesystem>
#include <limits>
#include <system_error>
#include <thread>

namespace godwit::os {
namespace fs = std::filesystem;
namespace {

namespace asio = boost::asio;

constexpr auto kLargestOffset = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());
constexpr std::size_t kCopy_bytes = 1UL << 20U;  // at once, where the kernel can't copy by itself

// A sync that a thread of its own waits for: a disk may take seconds, and the strand has others to serve. Shared by the
// two, for either may end first.
struct Syncing {
  std::shared_ptr<const Descriptor> file;
  Descriptor done;  // an eventfd
  std::atomic<int> error{0};

  void run() {
    if (::fdatasync(file->get()) != 0) error = errno;
    (void)::eventfd_write(done.get(), 1);
  }
};

sys::Task<Result<>> sync_in_thread(std::shared_ptr<const Descriptor> file, std::string path) {
  auto syncing = std::make_shared<Syncing>();
  syncing->file = std::move(file);
  syncing->done = Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  Descriptor ours(::fcntl(syncing->done.get(), F_DUPFD_CLOEXEC, 0));
  if (!ours) co_return fail_errno(errno, "make an eventfd");
  bool started = true;
  try {
    std::thread([syncing] { syncing->run(); }).detach();
  } catch (const std::system_error&) {
    started = false;  // no thread to be had: then here
  }
  if (!started) syncing->run();
  const auto executor = co_await asio::this_coro::executor;
  asio::posix::stream_descriptor done(executor, ours.release());
  eventfd_t count = 0;
  while (::eventfd_read(done.native_handle(), &count) != 0) {
    co_await done.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
  }
  const int error = syncing->error;
  if (error != 0) co_return fail_errno(error, "sync " + path);
  co_return Result<>{};
}

class SystemPageFile final : public sys::PageFile {
 public:
  SystemPageFile(Descriptor file, std::string path)
      : shared_(std::make_shared<const Descriptor>(std::move(file))), file_(*shared_), path_(std::move(path)) {}

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

  Result<> resize(std::uint64_t bytes) override {
    if (bytes > kLargestOffset || ::ftruncate(file_.get(), static_cast<off_t>(bytes)) != 0) {
      return as_io(fail_errno(bytes > kLargestOffset ? EFBIG : errno, fmt::format("resize {} to {}", path_, bytes)));
    }
    return {};
  }

  Result<> punch(std::uint64_t offset, std::uint64_t bytes) override;
  Result<bool> share_from(const sys::PageFile& source, std::uint64_t source_offset, std::uint64_t offset,
                          std::uint64_t bytes) override;
  Result<> copy_from(const sys::PageFile& source, std::uint64_t source_offset, std::uint64_t offset,
                     std::uint64_t bytes) override;
  sys::Task<Result<>> sync() override { return sync_in_thread(shared_, path_); }

  std::uint64_t used_bytes() const override {
    constexpr std::uint64_t kUnit = 512;  // of st_blocks, whatever st_blksize says
    struct stat found{};
    return ::fstat(file_.get(), &found) == 0 ? static_cast<std::uint64_t>(found.st_blocks) * kUnit : 0;
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

  [[nodiscard]] Result<> copy_by_hand(const SystemPageFile& source, std::uint64_t source_offset, std::uint64_t offset,
                                      std::uint64_t bytes);

  std::shared_ptr<const Descriptor> shared_;  // with a sync that is under way, which may outlive the file
  const Descriptor& file_;
  std::string path_;
};

Result<> SystemPageFile::punch(std::uint64_t offset, std::uint64_t bytes) {
  const auto end = size();
  if (offset >= end) return {};
  bytes = std::min(bytes, end - offset);
  if (bytes == 0) return {};
  const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  if (::fallocate(file_.get(), mode, static_cast<off_t>(offset), static_cast<off_t>(bytes)) == 0) return {};
  if (errno != EOPNOTSUPP) return as_io(fail_errno(errno, fmt::format("make a hole in {} at {}", path_, offset)));
  const ByteVector zeros(std::min<std::uint64_t>(bytes, kCopy_bytes));
  for (std::uint64_t done = 0; done < bytes; done += zeros.size()) {
    const auto part = ByteView(zeros).first(std::min<std::uint64_t>(zeros.size(), bytes - done));
    if (auto written = write_at(offset + done, part); !written) return written;
  }
  return {};
}

Result<bool> SystemPageFile::share_from(const sys::PageFile& source, std::uint64_t source_offset, std::uint64_t offset,
                                        std::uint64_t bytes) {
  const auto& from = static_cast<const SystemPageFile&>(source);
  if (bytes == 0) return true;  // to FICLONERANGE it means all that there is
  const auto there = from.size();
  if (source_offset > there || bytes > there - source_offset) return from.ends_before(source_offset);
  file_clone_range range{from.file_.get(), source_offset, bytes, offset};
  return ::ioctl(file_.get(), FICLONERANGE, &range) == 0;
}

Result<> SystemPageFile::copy_from(const sys::PageFile& source, std::uint64_t source_offset, std::uint64_t offset,
                                   std::uint64_t bytes) {
  const auto shared = share_from(source, source_offset, offset, bytes);
  if (!shared) return pass(shared);
  if (*shared) return {};
  return copy_by_hand(static_cast<const SystemPageFile&>(source), source_offset, offset, bytes);
}

Result<> SystemPageFile::copy_by_hand(const SystemPageFile& source, std::uint64_t source_offset, std::uint64_t offset,
                                      std::uint64_t bytes) {
  ByteVector part(std::min<std::uint64_t>(bytes, kCopy_bytes));
  while (bytes > 0) {
    const auto now = ByteSpan(part).first(std::min<std::uint64_t>(part.size(), bytes));
    if (auto read = source.read_at(source_offset, now); !read) return read;
    if (auto written = write_at(offset, now); !written) return written;
    source_offset += now.size();
    offset += now.size();
    bytes -= now.size();
  }
  return {};
}

Result<Descriptor> open_file(const std::string& path, int flags, mode_t mode = 0) {
  for (;;) {
    Descriptor file(::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK, mode));
    if (file) return file;
    if (errno != EINTR) return fail_errno(errno, "open " + path);
  }
}

}  // namespace

namespace {

Result<std::unique_ptr<sys::PageFile>> open_regular(const std::string& path, int flags) {
  auto file = open_file(path, flags);
  if (!file) {
    // For writing the kernel refuses a directory before we see that it is one.
    if (std::error_code ignored; fs::is_directory(path, ignored)) {
      return fail(Errc::invalid_argument, "open {}: not a regular file", path);
    }
    return pass(file);
  }
  struct stat found{};
  if (::fstat(file->get(), &found) != 0) return fail_errno(errno, "stat " + path);
  if (!S_ISREG(found.st_mode)) return fail(Errc::invalid_argument, "open {}: not a regular file", path);
  return std::make_unique<SystemPageFile>(std::move(*file), path);
}

}  // namespace

Result<std::unique_ptr<sys::PageFile>> SystemPageFiles::open(const std::string& path) {
  return open_regular(path, O_RDONLY);
}

Result<std::unique_ptr<sys::PageFile>> SystemPageFiles::reopen(const std::string& path) {
  return open_regular(path, O_RDWR | O_NOFOLLOW);
}

Result<std::unique_ptr<sys::PageFile>> SystemPageFiles::create(const std::string& path, unsigned mode) {
  if (auto removed = remove(path); !removed) return pass(removed);
  auto file = open_file(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (!file) return pass(file);
  if (mode != 0600 && ::fchmod(file->get(), mode) != 0) return fail_errno(errno, "chmod " + path);
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

Result<> SystemPageFiles::make_directory(const std::string& path, unsigned mode) {
  std::error_code error;
  if (fs::is_directory(path, error)) return {};
  fs::create_directories(fs::path(path).parent_path(), error);
  if (error) return fail_errno(error.value(), "make directory " + path);
  if (::mkdir(path.c_str(), mode) != 0 || ::chmod(path.c_str(), mode) != 0) {
    return fail_errno(errno, "make directory " + path);
  }
  return {};
}

namespace {

class HeldLock final : public sys::DirectoryLock {
 public:
  explicit HeldLock(Descriptor directory) : directory_(std::move(directory)) {}

 private:
  Descriptor directory_;  // the lock goes with it
};

}  // namespace

Result<std::unique_ptr<sys::DirectoryLock>> SystemPageFiles::lock_directory(const std::string& path) {
  auto directory = open_file(path, O_RDONLY | O_DIRECTORY);
  if (!directory) return pass(directory);
  if (::flock(directory->get(), LOCK_EX | LOCK_NB) == 0) return std::make_unique<HeldLock>(std::move(*directory));
  if (errno == EWOULDBLOCK) return fail(Errc::conflict, "lock {}: another process has it", path);
  return fail_errno(errno, "lock " + path);
}

Result<std::uint64_t> SystemPageFiles::free_bytes(const std::string& directory) {
  struct statvfs found{};
  if (::statvfs(directory.c_str(), &found) != 0) return fail_errno(errno, "look at the space of " + directory);
  return static_cast<std::uint64_t>(found.f_bavail) * found.f_frsize;
}

}  // namespace godwit::os
