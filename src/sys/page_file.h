// Files of which parts are read and written in place: content stores and disk images. What is written need not survive
// a crash.
#pragma once

#include "base/bytes.h"

#include <memory>
#include <string>

namespace godwit::sys {

class PageFile {
 public:
  virtual ~PageFile() = default;  // closes
  // All of `into`, or an error: io (also where the file ends before).
  [[nodiscard]] virtual Result<> read_at(std::uint64_t offset, ByteSpan into) const = 0;
  // Errors: exhausted (no space left), io.
  [[nodiscard]] virtual Result<> write_at(std::uint64_t offset, ByteView bytes) = 0;
  [[nodiscard]] virtual std::uint64_t size() const = 0;
};

class PageFiles {
 public:
  virtual ~PageFiles() = default;
  // For reading. Errors: not_found, io.
  [[nodiscard]] virtual Result<std::unique_ptr<PageFile>> open(const std::string& path) = 0;
  // Empty, for reading and writing, mode 0600; replaces one that is there. Errors: io.
  [[nodiscard]] virtual Result<std::unique_ptr<PageFile>> create(const std::string& path) = 0;
  // Not an error when it is not there.
  [[nodiscard]] virtual Result<> remove(const std::string& path) = 0;
  // Removes every file in it (not directories), and makes it where it is missing. Mode 0700.
  [[nodiscard]] virtual Result<> clear_directory(const std::string& path) = 0;
};

}  // namespace godwit::sys
