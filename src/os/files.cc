#include "os/files.h"

#include "os/descriptor.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

namespace godwit::os {
namespace fs = std::filesystem;
namespace {

std::string doing(std::string_view verb, std::string_view path) { return fmt::format("{} {}", verb, path); }

Result<Descriptor> open(const std::string& path, int flags, mode_t mode = 0) {
  for (;;) {
    Descriptor file(::open(path.c_str(), flags | O_CLOEXEC, mode));
    if (file) return file;
    if (errno != EINTR) return fail_errno(errno, doing("open", path));
  }
}

Result<> write_all(int file, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const auto count = ::write(file, content.data(), content.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, doing("write", path));
    content.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Result<> sync_directory(const std::string& path) {
  const auto directory = open(path, O_RDONLY | O_DIRECTORY);
  if (!directory) return pass(directory);
  if (::fsync(directory->get()) != 0) return fail_errno(errno, doing("fsync", path));
  return {};
}

std::string parent_of(const std::string& path) {
  auto parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

// A new file with exactly `mode`, whole and on disk.
Result<> write_new(const std::string& path, std::string_view content, unsigned mode) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, doing("remove", path));
  const auto file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (!file) return pass(file);
  if (::fchmod(file->get(), mode) != 0) return fail_errno(errno, doing("chmod", path));
  auto written = write_all(file->get(), content, path);
  if (!written) return written;
  if (::fsync(file->get()) != 0) return fail_errno(errno, doing("fsync", path));
  return {};
}

}  // namespace

Result<std::string> SystemFiles::read(const std::string& path, std::size_t limit_bytes) {
  const auto file = open(path, O_RDONLY);
  if (!file) return pass(file);
  std::string content;
  for (;;) {
    const auto held = content.size();
    content.resize(held + 16UL * 1024);
    const auto count = ::read(file->get(), content.data() + held, content.size() - held);
    if (count < 0 && errno != EINTR) return fail_errno(errno, doing("read", path));
    content.resize(held + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (count == 0) return content;
    if (content.size() > limit_bytes) {
      return fail(Errc::exhausted, "read {}: larger than {} bytes", path, limit_bytes);
    }
  }
}

Result<> SystemFiles::write_atomic(const std::string& path, std::string_view content, unsigned mode) {
  const std::string fresh = path + ".new~";
  auto written = write_new(fresh, content, mode);
  if (!written) {
    ::unlink(fresh.c_str());
    return written;
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(fresh.c_str());
    return fail_errno(error, doing("replace", path));
  }
  return sync_directory(parent_of(path));
}

Result<> SystemFiles::make_directories(const std::string& path, unsigned mode, unsigned owner_uid) {
  fs::path reached;
  for (const auto& part : fs::path(path)) {
    reached /= part;
    if (::mkdir(reached.c_str(), mode) == 0) {
      if (::chmod(reached.c_str(), mode) != 0) return fail_errno(errno, doing("chmod", reached.string()));
    } else if (errno != EEXIST) {
      return fail_errno(errno, doing("make directory", reached.string()));
    }
  }
  struct stat found{};
  if (::stat(path.c_str(), &found) != 0) return fail_errno(errno, doing("stat", path));
  if (!S_ISDIR(found.st_mode)) return fail_errno(ENOTDIR, doing("make directory", path));
  if (owner_uid != 0) return change_owner(path, owner_uid);
  return {};
}

Result<std::vector<std::string>> SystemFiles::list(const std::string& directory) {
  std::error_code error;
  std::vector<std::string> names;
  fs::directory_iterator each(directory, error);
  if (error == std::errc::no_such_file_or_directory) return names;
  for (; !error && each != fs::directory_iterator(); each.increment(error)) {
    names.push_back(each->path().filename().string());
  }
  if (error) return fail_errno(error.value(), doing("list", directory));
  std::sort(names.begin(), names.end());
  return names;
}

bool SystemFiles::exists(const std::string& path) {
  struct stat found{};
  return ::lstat(path.c_str(), &found) == 0;
}

Result<> SystemFiles::change_owner(const std::string& path, unsigned uid) {
  if (::lchown(path.c_str(), uid, uid) != 0) return fail_errno(errno, fmt::format("give {} to uid {}", path, uid));
  return {};
}

Result<> SystemFiles::remove(const std::string& path) {
  if (std::remove(path.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, doing("remove", path));
  return {};
}

Result<> SystemFiles::remove_tree(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return fail_errno(error.value(), doing("remove", path));
  return {};
}

Result<> SystemFiles::sync_file(const std::string& path) {
  const auto file = open(path, O_RDONLY);
  if (!file) return pass(file);
  if (::fsync(file->get()) != 0) return fail_errno(errno, doing("fsync", path));
  return {};
}

}  // namespace godwit::os
