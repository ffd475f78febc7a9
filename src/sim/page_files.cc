#include "sim/page_files.h"

#include <algorithm>
#include <utility>

namespace godwit::sim {
namespace {

constexpr std::uint64_t kLargestFile_bytes = 8ULL << 30U;  // a wild offset shows as an error, not as memory

class OpenFile final : public sys::PageFile {
 public:
  OpenFile(std::shared_ptr<PageFiles::Disk> disk, std::shared_ptr<ByteVector> content, std::string path, bool writable)
      : disk_(std::move(disk)), content_(std::move(content)), path_(std::move(path)), writable_(writable) {}

  Result<> read_at(std::uint64_t offset, ByteSpan into) const override {
    ++disk_->reads;
    if (disk_->fails_reads) return fail(Errc::io, "read {} at {}: Input/output error (EIO)", path_, offset);
    if (into.empty()) return {};
    if (offset > content_->size() || into.size() > content_->size() - offset) {
      return fail(Errc::io, "read {} at {}: the file ends before", path_, offset);
    }
    std::copy_n(content_->begin() + static_cast<std::ptrdiff_t>(offset), into.size(), into.begin());
    return {};
  }

  Result<> write_at(std::uint64_t offset, ByteView bytes) override {
    if (!writable_) return fail(Errc::io, "write {}: Bad file descriptor (EBADF)", path_);
    if (bytes.empty()) return {};
    if (offset > kLargestFile_bytes || bytes.size() > kLargestFile_bytes - offset) {
      return fail(Errc::io, "write {} at {}: no file is so large", path_, offset);
    }
    const auto end = offset + bytes.size();
    if (end > content_->size()) {
      if (disk_->full) return fail(Errc::exhausted, "write {}: No space left on device (ENOSPC)", path_);
      content_->resize(end);
    }
    std::copy(bytes.begin(), bytes.end(), content_->begin() + static_cast<std::ptrdiff_t>(offset));
    return {};
  }

  std::uint64_t size() const override { return content_->size(); }

 private:
  std::shared_ptr<PageFiles::Disk> disk_;
  std::shared_ptr<ByteVector> content_;
  std::string path_;
  bool writable_;
};

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos || slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

PageFiles::PageFiles() : disk_(std::make_shared<Disk>()) { directories_.insert("/"); }
PageFiles::~PageFiles() = default;

Result<std::unique_ptr<sys::PageFile>> PageFiles::open(const std::string& path) {
  if (directories_.contains(path)) return fail(Errc::invalid_argument, "open {}: not a regular file", path);
  const auto found = files_.find(path);
  if (found == files_.end()) return fail(Errc::not_found, "open {}: No such file or directory (ENOENT)", path);
  return std::make_unique<OpenFile>(disk_, found->second, path, false);
}

Result<std::unique_ptr<sys::PageFile>> PageFiles::create(const std::string& path) {
  if (directories_.contains(path)) return fail(Errc::io, "remove {}: Is a directory (EISDIR)", path);
  if (!directories_.contains(parent_of(path))) {
    return fail(Errc::not_found, "open {}: No such file or directory (ENOENT)", path);
  }
  auto content = std::make_shared<ByteVector>();
  files_[path] = content;
  return std::make_unique<OpenFile>(disk_, std::move(content), path, true);
}

Result<> PageFiles::remove(const std::string& path) {
  if (directories_.contains(path)) return fail(Errc::io, "remove {}: Is a directory (EISDIR)", path);
  files_.erase(path);
  return {};
}

Result<> PageFiles::clear_directory(const std::string& path) {
  for (std::string each = path; each != "/"; each = parent_of(each)) {
    if (files_.contains(each)) return fail(Errc::io, "make directory {}: Not a directory (ENOTDIR)", each);
    directories_.insert(each);
  }
  std::erase_if(files_, [&](const auto& file) { return parent_of(file.first) == path; });
  return {};
}

void PageFiles::put(const std::string& path, ByteView content) {
  for (std::string each = parent_of(path); each != "/"; each = parent_of(each)) directories_.insert(each);
  files_[path] = std::make_shared<ByteVector>(content.begin(), content.end());
}

void PageFiles::fill_disk(bool full) { disk_->full = full; }
void PageFiles::fail_reads(bool failing) { disk_->fails_reads = failing; }
std::shared_ptr<PageFiles> PageFiles::copy() const {
  auto other = std::make_shared<PageFiles>();
  other->directories_ = directories_;
  for (const auto& [path, content] : files_) other->files_[path] = std::make_shared<ByteVector>(*content);
  return other;
}

void PageFiles::tear(std::mt19937_64& random) {
  for (const auto& [path, content] : files_) {
    if (content->empty()) continue;
    if (random() % 8 == 0) content->resize(random() % content->size());
    for (auto left = random() % 4; left > 0 && !content->empty(); --left) {
      (*content)[random() % content->size()] ^= std::byte{0x10};
    }
  }
}

std::uint64_t PageFiles::reads() const { return disk_->reads; }

}  // namespace godwit::sim
