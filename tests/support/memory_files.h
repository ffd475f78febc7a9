// Files in memory, which outlive the process that a test restarts.
#pragma once

#include "sys/files.h"

#include <map>
#include <string>

namespace godwit::testing {

class MemoryFiles final : public sys::Files {
 public:
  std::map<std::string, std::string> contents;
  std::map<std::string, unsigned> modes;
  bool full{false};  // every write fails
  int writes{0};

  [[nodiscard]] Result<std::string> read(const std::string& path, std::size_t limit_bytes) override {
    const auto found = contents.find(path);
    if (found == contents.end()) return fail(Errc::not_found, "read {}: there is no such file", path);
    if (found->second.size() > limit_bytes) return fail(Errc::exhausted, "read {}: too large", path);
    return found->second;
  }
  [[nodiscard]] Result<> write_atomic(const std::string& path, std::string_view content, unsigned mode) override {
    if (full) return fail(Errc::io, "write {}: ENOSPC", path);
    contents[path] = content;
    modes[path] = mode;
    ++writes;
    return {};
  }
  [[nodiscard]] Result<> make_directories(const std::string&, unsigned, unsigned) override { return {}; }
  [[nodiscard]] Result<std::vector<std::string>> list(const std::string& directory) override {
    std::vector<std::string> names;
    for (const auto& [path, content] : contents) {
      if (!path.starts_with(directory + "/")) continue;
      const auto name = path.substr(directory.size() + 1);
      if (name.find('/') == std::string::npos) names.push_back(name);
    }
    return names;
  }
  [[nodiscard]] bool exists(const std::string& path) override { return contents.contains(path); }
  [[nodiscard]] Result<> change_owner(const std::string&, unsigned) override { return {}; }
  [[nodiscard]] Result<> remove(const std::string& path) override {
    contents.erase(path);
    return {};
  }
  [[nodiscard]] Result<> remove_tree(const std::string& path) override {
    std::erase_if(contents, [&](const auto& each) { return each.first.starts_with(path + "/"); });
    return {};
  }
  [[nodiscard]] Result<> sync_file(const std::string&) override { return {}; }
};

}  // namespace godwit::testing
