// sys::PageFiles on Linux: pread and pwrite.
#pragma once

#include "sys/page_file.h"

namespace godwit::os {

class SystemPageFiles final : public sys::PageFiles {
 public:
  // Regular files only: another kind (a FIFO, a device) could block. Errors: invalid_argument, beside those of the
  // seam.
  Result<std::unique_ptr<sys::PageFile>> open(const std::string& path) override;
  Result<std::unique_ptr<sys::PageFile>> reopen(const std::string& path) override;
  using sys::PageFiles::create;
  Result<std::unique_ptr<sys::PageFile>> create(const std::string& path, unsigned mode) override;
  Result<> remove(const std::string& path) override;
  Result<> clear_directory(const std::string& path) override;
  Result<> make_directory(const std::string& path, unsigned mode) override;
  Result<std::unique_ptr<sys::DirectoryLock>> lock_directory(const std::string& path) override;
  Result<std::uint64_t> free_bytes(const std::string& directory) override;
};

}  // namespace godwit::os
