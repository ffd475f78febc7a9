#include "sim/page_files.h"

#include "base/zero.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace godwit::sim {
namespace {

using Bytes = PageFiles::Bytes;
using Content = PageFiles::Content;
using Disk = PageFiles::Disk;

constexpr std::uint64_t kLargestFile_bytes = 8ULL << 30U;  // a wild offset shows as an error, not as memory
constexpr std::size_t kSector_bytes = 512;

// What the disk has for `write`, of which only some sectors reached it.
void apply_torn(Bytes& bytes, const Content::Write& write, std::mt19937_64& random) {
  bytes.resize(write.size_after);
  for (std::size_t from = 0; from < write.bytes.size();) {
    const auto sector_end = (write.offset + from) / kSector_bytes * kSector_bytes + kSector_bytes - write.offset;
    const auto end = std::min<std::size_t>(sector_end, write.bytes.size());
    if (random() % 2 == 0 && write.offset + end <= bytes.size()) {
      bytes.write(write.offset + from, ByteView(write.bytes).subspan(from, end - from));
    }
    from = end;
  }
}

void apply_whole(Bytes& bytes, const Content::Write& write) {
  bytes.resize(write.size_after);
  bytes.write(write.offset, write.bytes);
}

// The first `count` of what was written since the last sync are on disk from now on.
void make_sure(Content& content, std::size_t count) {
  count = std::min(count, content.since.size());
  for (std::size_t i = 0; i < count; ++i) apply_whole(content.synced, content.since[i]);
  content.since.erase(content.since.begin(), content.since.begin() + static_cast<std::ptrdiff_t>(count));
  content.was_synced = true;
}

sys::Task<Result<>> sync_content(std::shared_ptr<Disk> disk, std::shared_ptr<Content> content) {
  const auto written = content->since.size();
  const auto executor = co_await boost::asio::this_coro::executor;
  co_await boost::asio::post(executor, boost::asio::use_awaitable);  // others may write meanwhile
  auto may = disk->may_write();
  if (!may) co_return may;
  if (disk->remembers) make_sure(*content, written);
  co_return Result<>{};
}

class OpenFile final : public sys::PageFile {
 public:
  OpenFile(std::shared_ptr<Disk> disk, std::shared_ptr<Content> content, std::string path, bool writable)
      : disk_(std::move(disk)), content_(std::move(content)), path_(std::move(path)), writable_(writable) {}

  Result<> read_at(std::uint64_t offset, ByteSpan into) const override {
    ++disk_->reads;
    const auto& bytes = content_->bytes;
    if (disk_->fails_reads) return fail(Errc::io, "read {} at {}: Input/output error (EIO)", path_, offset);
    if (into.empty()) return {};
    if (offset > bytes.size() || into.size() > bytes.size() - offset) {
      return fail(Errc::io, "read {} at {}: the file ends before", path_, offset);
    }
    bytes.read(offset, into);
    return {};
  }

  Result<> write_at(std::uint64_t offset, ByteView bytes) override {
    if (!writable_) return fail(Errc::io, "write {}: Bad file descriptor (EBADF)", path_);
    if (bytes.empty()) return {};
    if (offset > kLargestFile_bytes || bytes.size() > kLargestFile_bytes - offset) {
      return fail(Errc::io, "write {} at {}: no file is so large", path_, offset);
    }
    if (auto may = disk_->may_write(); !may) return may;
    const auto end = offset + bytes.size();
    if (end > content_->bytes.size()) {
      if (disk_->full) return fail(Errc::exhausted, "write {}: No space left on device (ENOSPC)", path_);
    }
    if (auto grown = grow_to(std::max<std::uint64_t>(end, content_->bytes.size())); !grown) return grown;
    content_->bytes.write(offset, bytes);
    remember(offset, bytes);
    return {};
  }

  std::uint64_t size() const override { return content_->bytes.size(); }

  Result<> resize(std::uint64_t bytes) override {
    if (!writable_) return fail(Errc::io, "resize {}: Bad file descriptor (EBADF)", path_);
    if (bytes > kLargestFile_bytes) return fail(Errc::io, "resize {} to {}: no file is so large", path_, bytes);
    if (auto may = disk_->may_write(); !may) return may;
    if (bytes > content_->bytes.size() && disk_->full) {
      return fail(Errc::exhausted, "resize {}: No space left on device (ENOSPC)", path_);
    }
    if (auto grown = grow_to(bytes); !grown) return grown;
    remember(0, {});
    return {};
  }

  Result<> punch(std::uint64_t offset, std::uint64_t bytes) override {
    const std::uint64_t written = content_->bytes.written().size();  // behind it are zeros already
    if (offset >= written) return {};
    return write_at(offset, ByteVector(std::min(bytes, written - offset)));
  }

  Result<bool> share_from(const sys::PageFile& source, std::uint64_t source_offset, std::uint64_t offset,
                          std::uint64_t bytes) override {
    constexpr std::uint64_t kBlock_bytes = 4096;
    if (!disk_->shares || (source_offset | offset | bytes) % kBlock_bytes != 0) return false;
    if (auto copied = copy_from(source, source_offset, offset, bytes); !copied) return pass(copied);
    disk_->shared_bytes += bytes;
    return true;
  }

  Result<> copy_from(const sys::PageFile& source, std::uint64_t source_offset, std::uint64_t offset,
                     std::uint64_t bytes) override {
    if (source_offset > source.size() || bytes > source.size() - source_offset) {
      return fail(Errc::io, "copy to {}: the source ends before", path_);
    }
    ByteVector part(bytes);
    if (auto read = source.read_at(source_offset, part); !read) return read;
    return write_at(offset, part);
  }

  sys::Task<Result<>> sync() override { return sync_content(disk_, content_); }

  std::uint64_t used_bytes() const override {
    constexpr std::size_t kBlock_bytes = 4096;
    std::uint64_t used = 0;
    const ByteView written(content_->bytes.written());
    for (std::size_t at = 0; at < written.size(); at += kBlock_bytes) {
      const auto block = written.subspan(at, std::min<std::size_t>(kBlock_bytes, written.size() - at));
      if (!is_zero(block)) used += kBlock_bytes;
    }
    return used;
  }

 private:
  Result<> grow_to(std::uint64_t bytes) {
    const auto before = content_->bytes.size();
    if (bytes > before && bytes - before > disk_->limit_bytes - std::min(disk_->limit_bytes, disk_->used_bytes)) {
      return fail(Errc::exhausted, "write {}: No space left on device (ENOSPC)", path_);
    }
    disk_->used_bytes = disk_->used_bytes + bytes - before;
    content_->bytes.resize(bytes);
    return {};
  }
  void remember(std::uint64_t offset, ByteView bytes) {
    if (disk_->remembers) content_->since.push_back({offset, {bytes.begin(), bytes.end()}, content_->bytes.size()});
  }

  std::shared_ptr<Disk> disk_;
  std::shared_ptr<Content> content_;
  std::string path_;
  bool writable_;
};

class HeldLock final : public sys::DirectoryLock {
 public:
  HeldLock(std::shared_ptr<Disk> disk, std::string path) : disk_(std::move(disk)), path_(std::move(path)) {}
  ~HeldLock() override { disk_->locked.erase(path_); }
  HeldLock(const HeldLock&) = delete;
  HeldLock& operator=(const HeldLock&) = delete;

 private:
  std::shared_ptr<Disk> disk_;
  std::string path_;
};

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos || slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

void PageFiles::Bytes::resize(std::uint64_t size) {
  if (size < written_.size()) written_.resize(size);
  size_ = size;
}

void PageFiles::Bytes::write(std::uint64_t offset, ByteView bytes) {
  const auto end = offset + bytes.size();
  if (end > written_.size() && !(bytes.empty() || is_zero(bytes))) written_.resize(end);
  if (offset >= written_.size()) return;
  const auto part = bytes.first(std::min<std::uint64_t>(bytes.size(), written_.size() - offset));
  std::ranges::copy(part, written_.begin() + static_cast<std::ptrdiff_t>(offset));
}

void PageFiles::Bytes::read(std::uint64_t offset, ByteSpan into) const {
  const auto there = offset < written_.size() ? std::min<std::uint64_t>(into.size(), written_.size() - offset) : 0;
  if (there > 0) std::copy_n(written_.begin() + static_cast<std::ptrdiff_t>(offset), there, into.begin());
  std::ranges::fill(into.subspan(there), std::byte{0});
}

PageFiles::PageFiles() : disk_(std::make_shared<Disk>()) { directories_.insert("/"); }
PageFiles::~PageFiles() = default;

Result<std::unique_ptr<sys::PageFile>> PageFiles::open(const std::string& path) {
  if (directories_.contains(path)) return fail(Errc::invalid_argument, "open {}: not a regular file", path);
  const auto found = files_.find(path);
  if (found == files_.end()) return fail(Errc::not_found, "open {}: No such file or directory (ENOENT)", path);
  return std::make_unique<OpenFile>(disk_, found->second, path, false);
}

Result<std::unique_ptr<sys::PageFile>> PageFiles::reopen(const std::string& path) {
  const auto opened = open(path);
  if (!opened) return pass(opened);
  return std::make_unique<OpenFile>(disk_, files_.at(path), path, true);
}

Result<std::unique_ptr<sys::PageFile>> PageFiles::create(const std::string& path, unsigned /*mode*/) {
  if (directories_.contains(path)) return fail(Errc::io, "remove {}: Is a directory (EISDIR)", path);
  if (!directories_.contains(parent_of(path))) {
    return fail(Errc::not_found, "open {}: No such file or directory (ENOENT)", path);
  }
  if (auto removed = remove(path); !removed) return pass(removed);
  auto content = std::make_shared<Content>();
  files_[path] = content;
  return std::make_unique<OpenFile>(disk_, std::move(content), path, true);
}

Result<> PageFiles::remove(const std::string& path) {
  if (directories_.contains(path)) return fail(Errc::io, "remove {}: Is a directory (EISDIR)", path);
  if (auto may = disk_->may_write(); !may) return may;
  const auto found = files_.find(path);
  if (found == files_.end()) return {};
  disk_->used_bytes -= std::min<std::uint64_t>(disk_->used_bytes, found->second->bytes.size());
  if (disk_->remembers) removed_[path] = found->second;
  files_.erase(found);
  return {};
}

Result<> PageFiles::clear_directory(const std::string& path) {
  if (auto made = make_directory(path, 0700); !made) return made;
  std::erase_if(files_, [&](const auto& file) { return parent_of(file.first) == path; });
  return {};
}

Result<> PageFiles::make_directory(const std::string& path, unsigned /*mode*/) {
  if (auto may = disk_->may_write(); !may) return may;
  for (std::string each = path; each != "/"; each = parent_of(each)) {
    if (files_.contains(each)) return fail(Errc::io, "make directory {}: Not a directory (ENOTDIR)", each);
    directories_.insert(each);
  }
  return {};
}

Result<std::unique_ptr<sys::DirectoryLock>> PageFiles::lock_directory(const std::string& path) {
  if (!directories_.contains(path)) return fail(Errc::not_found, "lock {}: No such file or directory (ENOENT)", path);
  if (!disk_->locked.insert(path).second) return fail(Errc::conflict, "lock {}: another process has it", path);
  return std::make_unique<HeldLock>(disk_, path);
}

Result<std::uint64_t> PageFiles::free_bytes(const std::string& directory) {
  if (!directories_.contains(directory)) {
    return fail(Errc::not_found, "look at the space of {}: No such file or directory (ENOENT)", directory);
  }
  return disk_->full ? 0 : disk_->limit_bytes - std::min(disk_->limit_bytes, disk_->used_bytes);
}

void PageFiles::put(const std::string& path, ByteView content) {
  for (std::string each = parent_of(path); each != "/"; each = parent_of(each)) directories_.insert(each);
  auto file = std::make_shared<Content>();
  file->bytes.resize(content.size());
  file->bytes.write(0, content);
  file->synced = file->bytes;
  file->was_synced = true;
  files_[path] = std::move(file);
}

void PageFiles::fill_disk(bool full) { disk_->full = full; }
void PageFiles::share_content(bool shares) { disk_->shares = shares; }
std::uint64_t PageFiles::shared_bytes() const { return disk_->shared_bytes; }
void PageFiles::limit_disk(std::uint64_t bytes) { disk_->limit_bytes = bytes; }
void PageFiles::fail_reads(bool failing) { disk_->fails_reads = failing; }

std::shared_ptr<PageFiles> PageFiles::copy() const {
  auto other = std::make_shared<PageFiles>();
  other->directories_ = directories_;
  for (const auto& [path, content] : files_) other->files_[path] = std::make_shared<Content>(*content);
  return other;
}

void PageFiles::tear(std::mt19937_64& random) {
  for (const auto& [path, content] : files_) {
    auto& bytes = content->bytes;
    if (bytes.written().empty()) continue;
    if (random() % 8 == 0) bytes.resize(random() % bytes.size());
    auto& written = bytes.written();
    for (auto left = random() % 4; left > 0 && !written.empty(); --left) {
      written[random() % written.size()] ^= std::byte{0x10};
    }
  }
}

void PageFiles::flip(const std::string& path, std::uint64_t offset) {
  auto& bytes = files_.at(path)->bytes;
  if (offset >= bytes.size()) return;
  std::byte there{};
  bytes.read(offset, ByteSpan(&there, 1));
  there ^= std::byte{0x10};
  bytes.write(offset, ByteView(&there, 1));
}

std::uint64_t PageFiles::reads() const { return disk_->reads; }

void PageFiles::remember_unsynced() { disk_->remembers = true; }
void PageFiles::use(std::shared_ptr<Fuse> fuse) { disk_->fuse = std::move(fuse); }

void PageFiles::lose_power(std::mt19937_64& random) {
  for (auto& [path, content] : removed_) {
    if (random() % 2 == 0) files_.try_emplace(path, std::move(content));
  }
  removed_.clear();
  std::erase_if(files_, [&](const auto& each) { return !each.second->was_synced && random() % 2 == 0; });
  disk_->used_bytes = 0;
  // Files that somebody had open are theirs no more: each begins anew as the disk has it.
  for (auto& [path, content] : files_) {
    auto after = std::make_shared<Content>();
    after->bytes = content->synced;
    for (const auto& write : content->since) {
      if (random() % 4 != 0) apply_torn(after->bytes, write, random);
    }
    after->synced = after->bytes;
    after->was_synced = true;
    disk_->used_bytes += after->bytes.size();
    content = std::move(after);
  }
}

}  // namespace godwit::sim
