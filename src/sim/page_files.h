// Page files in memory, with failures that a test sets.
#pragma once

#include "sys/page_file.h"

#include <map>
#include <random>
#include <set>

namespace godwit::sim {

class PageFiles final : public sys::PageFiles {
 public:
  PageFiles();
  ~PageFiles() override;

  Result<std::unique_ptr<sys::PageFile>> open(const std::string& path) override;
  Result<std::unique_ptr<sys::PageFile>> create(const std::string& path) override;
  Result<> remove(const std::string& path) override;
  Result<> clear_directory(const std::string& path) override;

  // A file as another program left it.
  void put(const std::string& path, ByteView content);
  [[nodiscard]] bool exists(const std::string& path) const { return files_.contains(path); }
  [[nodiscard]] std::size_t count() const { return files_.size(); }
  // From now on files don't grow: exhausted.
  void fill_disk(bool full);
  // From now on every read fails: io.
  void fail_reads(bool failing);
  // Another disk with the same content.
  [[nodiscard]] std::shared_ptr<PageFiles> copy() const;
  // Some bytes of some files become others, some files end early, as after a loss of power.
  void tear(std::mt19937_64& random);
  // Of what all files were asked since the beginning.
  [[nodiscard]] std::uint64_t reads() const;

  // What files share with the disk that they lie on.
  struct Disk {
    bool full{false};
    bool fails_reads{false};
    std::uint64_t reads{0};
  };

 private:
  // Shared, as on Linux: an open file lives on when its name is removed, and may outlive the PageFiles.
  std::shared_ptr<Disk> disk_;
  std::map<std::string, std::shared_ptr<ByteVector>> files_;
  std::set<std::string> directories_;
};

}  // namespace godwit::sim
