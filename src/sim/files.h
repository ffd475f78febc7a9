// The files of one simulated host.
#pragma once

#include "sim/fuse.h"
#include "sys/files.h"

#include <map>
#include <memory>
#include <set>
#include <string>

namespace godwit::sim {

class Files final : public sys::Files {
 public:
  Result<std::string> read(const std::string& path, std::size_t limit_bytes) override;
  Result<> write_atomic(const std::string& path, std::string_view content, unsigned mode) override;
  Result<> make_directories(const std::string& path, unsigned mode, unsigned owner_uid) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  bool exists(const std::string& path) override;
  Result<> change_owner(const std::string& path, unsigned uid) override;
  Result<> remove(const std::string& path) override;
  Result<> remove_tree(const std::string& path) override;
  Result<> sync_file(const std::string& path) override;

  // What other programs write through the page cache: gone with the power until sync_file().
  void write_cached(const std::string& path, std::string content);
  // The same for what follows the content of `path` in its file; apart, so that one more record is no copy of the
  // whole.
  void write_cached_tail(const std::string& path, std::string tail);
  [[nodiscard]] std::string read_tail(const std::string& path) const;  // empty where there is none
  void lose_power();
  // From now on every write fails, as on a full disk.
  void refuse_writes(bool refuse) { refuse_writes_ = refuse; }
  void use(std::shared_ptr<Fuse> fuse) { fuse_ = std::move(fuse); }
  [[nodiscard]] unsigned owner_of(const std::string& path) const;

 private:
  struct File {
    std::string content;
    std::string tail;
    std::string synced;
    std::string synced_tail;
    bool touched{false};    // the content, since it was synced
    bool is_synced{false};  // `synced` counts
    unsigned mode{0};
    unsigned owner{0};
  };
  [[nodiscard]] Result<> may_write(std::string_view verb, const std::string& path) const;
  [[nodiscard]] Result<> may_end() const;

  std::map<std::string, File> files_;
  std::map<std::string, unsigned> directories_;  // to the owner
  bool refuse_writes_{false};
  std::shared_ptr<Fuse> fuse_;  // shared with the host's page files; null: none
};

}  // namespace godwit::sim
