#include "sim/files.h"

#include <algorithm>

namespace godwit::sim {
namespace {

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos || slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<> Files::may_write(std::string_view verb, const std::string& path) const {
  if (refuse_writes_) return fail(Errc::io, "{} {}: ENOSPC No space left on device", verb, path);
  return fuse_ ? fuse_->pass() : Result<>{};
}

// A full disk still removes.
Result<> Files::may_end() const { return fuse_ ? fuse_->pass() : Result<>{}; }

Result<std::string> Files::read(const std::string& path, std::size_t limit_bytes) {
  const auto found = files_.find(path);
  if (found == files_.end()) return fail(Errc::not_found, "open {}: ENOENT No such file or directory", path);
  if (found->second.content.size() > limit_bytes) {
    return fail(Errc::exhausted, "read {}: larger than {} bytes", path, limit_bytes);
  }
  return found->second.content;
}

Result<> Files::write_atomic(const std::string& path, std::string_view content, unsigned mode) {
  if (const auto may = may_write("write", path); !may) return may;
  if (directories_.contains(path)) return fail(Errc::io, "replace {}: EISDIR Is a directory", path);
  if (parent_of(path) != "/" && !directories_.contains(parent_of(path))) {
    return fail(Errc::not_found, "open {}: ENOENT No such file or directory", path);
  }
  File& file = files_[path];
  file.content = content;
  file.tail.clear();
  file.synced = content;
  file.synced_tail.clear();
  file.touched = false;
  file.is_synced = true;
  file.mode = mode;
  return {};
}

Result<> Files::make_directories(const std::string& path, unsigned, unsigned owner_uid) {
  if (!directories_.contains(path)) {
    if (const auto may = may_write("make directory", path); !may) return may;
  }
  for (std::string each = path; each != "/"; each = parent_of(each)) {
    if (files_.contains(each)) return fail(Errc::io, "make directory {}: ENOTDIR Not a directory", each);
    directories_.try_emplace(each, 0);
  }
  if (owner_uid != 0) directories_[path] = owner_uid;
  return {};
}

Result<std::vector<std::string>> Files::list(const std::string& directory) {
  std::vector<std::string> names;
  const auto add = [&](const std::string& path) {
    if (parent_of(path) == directory && path != directory) names.push_back(path.substr(path.rfind('/') + 1));
  };
  for (const auto& each : files_) add(each.first);
  for (const auto& each : directories_) add(each.first);
  std::sort(names.begin(), names.end());
  return names;
}

bool Files::exists(const std::string& path) { return files_.contains(path) || directories_.contains(path); }

Result<> Files::change_owner(const std::string& path, unsigned uid) {
  if (const auto found = files_.find(path); found != files_.end()) {
    found->second.owner = uid;
  } else if (const auto directory = directories_.find(path); directory != directories_.end()) {
    directory->second = uid;
  } else {
    return fail(Errc::not_found, "give {} to uid {}: ENOENT No such file or directory", path, uid);
  }
  return {};
}

unsigned Files::owner_of(const std::string& path) const {
  if (const auto found = files_.find(path); found != files_.end()) return found->second.owner;
  const auto directory = directories_.find(path);
  return directory == directories_.end() ? 0 : directory->second;
}

Result<> Files::remove(const std::string& path) {
  if (auto may = may_end(); !may) return may;
  files_.erase(path);
  directories_.erase(path);
  return {};
}

Result<> Files::remove_tree(const std::string& path) {
  if (auto may = may_end(); !may) return may;
  const auto inside = [&](const auto& each) { return each.first == path || each.first.starts_with(path + "/"); };
  std::erase_if(files_, inside);
  std::erase_if(directories_, inside);
  return {};
}

Result<> Files::sync_file(const std::string& path) {
  if (directories_.contains(path)) return may_write("fsync", path);  // names are always on disk here
  const auto found = files_.find(path);
  if (found == files_.end()) return fail(Errc::not_found, "open {}: ENOENT No such file or directory", path);
  if (const auto may = may_write("fsync", path); !may) return may;
  File& file = found->second;
  if (file.touched || !file.is_synced) file.synced = file.content;
  file.synced_tail = file.tail;
  file.touched = false;
  file.is_synced = true;
  return {};
}

void Files::write_cached(const std::string& path, std::string content) {
  File& file = files_[path];
  file.content = std::move(content);
  file.touched = true;
}

void Files::write_cached_tail(const std::string& path, std::string tail) { files_[path].tail = std::move(tail); }

std::string Files::read_tail(const std::string& path) const {
  const auto found = files_.find(path);
  return found == files_.end() ? std::string() : found->second.tail;
}

void Files::lose_power() {
  std::erase_if(files_, [](const auto& each) { return !each.second.is_synced; });
  for (auto& [path, file] : files_) {
    file.content = file.synced;
    file.tail = file.synced_tail;
    file.touched = false;
  }
}

}  // namespace godwit::sim
