// Page files in memory, with failures that a test sets.
#pragma once

#include "sim/fuse.h"
#include "sys/page_file.h"

#include <map>
#include <random>
#include <set>
#include <vector>

namespace godwit::sim {

class PageFiles final : public sys::PageFiles {
 public:
  PageFiles();
  ~PageFiles() override;

  Result<std::unique_ptr<sys::PageFile>> open(const std::string& path) override;
  Result<std::unique_ptr<sys::PageFile>> reopen(const std::string& path) override;
  using sys::PageFiles::create;
  Result<std::unique_ptr<sys::PageFile>> create(const std::string& path, unsigned mode) override;
  Result<> remove(const std::string& path) override;
  Result<> clear_directory(const std::string& path) override;
  Result<> make_directory(const std::string& path, unsigned mode) override;
  Result<std::unique_ptr<sys::DirectoryLock>> lock_directory(const std::string& path) override;
  Result<std::uint64_t> free_bytes(const std::string& directory) override;

  // A file as another program left it.
  void put(const std::string& path, ByteView content);
  [[nodiscard]] bool exists(const std::string& path) const { return files_.contains(path); }
  [[nodiscard]] std::size_t count() const { return files_.size(); }
  // From now on files don't grow: exhausted.
  void fill_disk(bool full);
  // All files together, as their sizes say it, no more than that: exhausted.
  void limit_disk(std::uint64_t bytes);
  // From now on files share what share_from() says; without that they can't. How much has been shared.
  void share_content(bool shares);
  [[nodiscard]] std::uint64_t shared_bytes() const;
  // From now on every read fails: io.
  void fail_reads(bool failing);
  // Another disk with the same content.
  [[nodiscard]] std::shared_ptr<PageFiles> copy() const;
  // Some bytes of some files become others, some files end early, as after a loss of power.
  void tear(std::mt19937_64& random);
  // One bit of a file that is there.
  void flip(const std::string& path, std::uint64_t offset);
  // Of what all files were asked since the beginning.
  [[nodiscard]] std::uint64_t reads() const;

  // From now on it is remembered what was not synced.
  void remember_unsynced();
  // Of each file, what was written since its last sync is on disk or not: each write for itself, and of one, each
  // sector of 512 bytes for itself. A file that was never synced may be gone, one that was removed may be back.
  void lose_power(std::mt19937_64& random);
  void use(std::shared_ptr<Fuse> fuse);

  // Zeros at the end of a file cost no memory until something is written behind them.
  class Bytes {
   public:
    [[nodiscard]] std::uint64_t size() const { return size_; }
    void resize(std::uint64_t size);
    void write(std::uint64_t offset, ByteView bytes);         // within its size
    void read(std::uint64_t offset, ByteSpan into) const;     // likewise
    [[nodiscard]] ByteVector& written() { return written_; }  // what comes before the zeros
    [[nodiscard]] const ByteVector& written() const { return written_; }

   private:
    ByteVector written_;
    std::uint64_t size_{0};
  };
  // A file, and what its last sync made sure of.
  struct Content {
    Bytes bytes;
    bool was_synced{false};
    Bytes synced;
    struct Write {
      std::uint64_t offset;
      ByteVector bytes;
      std::uint64_t size_after;
    };
    std::vector<Write> since;
  };
  // What files share with the disk that they lie on.
  struct Disk {
    bool full{false};
    bool fails_reads{false};
    bool remembers{false};
    bool shares{false};
    std::uint64_t shared_bytes{0};
    std::set<std::string> locked;
    std::uint64_t reads{0};
    std::uint64_t limit_bytes{1ULL << 40U};
    std::uint64_t used_bytes{0};
    std::shared_ptr<Fuse> fuse;

    [[nodiscard]] Result<> may_write() const { return fuse ? fuse->pass() : Result<>{}; }
  };

 private:
  // Shared, as on Linux: an open file lives on when its name is removed, and may outlive the PageFiles.
  std::shared_ptr<Disk> disk_;
  std::map<std::string, std::shared_ptr<Content>> files_;
  std::map<std::string, std::shared_ptr<Content>> removed_;  // since power was last lost
  std::set<std::string> directories_;
};

}  // namespace godwit::sim
