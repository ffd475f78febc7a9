// Files of this host.
#pragma once

#include "sys/files.h"

namespace godwit::os {

// write_atomic() writes "PATH.new~" first; what a crash leaves there the next write replaces. One writer a path.
class SystemFiles final : public sys::Files {
 public:
  [[nodiscard]] Result<std::string> read(const std::string& path, std::size_t limit_bytes) override;
  [[nodiscard]] Result<> write_atomic(const std::string& path, std::string_view content, unsigned mode) override;
  // Directories that are missing on the way get the same mode; only the last one gets the owner.
  [[nodiscard]] Result<> make_directories(const std::string& path, unsigned mode, unsigned owner_uid) override;
  [[nodiscard]] Result<std::vector<std::string>> list(const std::string& directory) override;
  [[nodiscard]] bool exists(const std::string& path) override;
  // The group becomes that of the same number. Does not follow a symbolic link.
  [[nodiscard]] Result<> change_owner(const std::string& path, unsigned uid) override;
  [[nodiscard]] Result<> remove(const std::string& path) override;
  [[nodiscard]] Result<> remove_tree(const std::string& path) override;
  [[nodiscard]] Result<> sync_file(const std::string& path) override;
};

}  // namespace godwit::os
