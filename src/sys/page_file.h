// Files of which parts are read and written in place: content stores and disk images. What is written need not survive
// a crash, unless it was synced.
#pragma once

#include "base/bytes.h"
#include "sys/clock.h"

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
  // What is there, or less; what is new is a hole: zeros that take no space. Errors: those of write_at().
  [[nodiscard]] virtual Result<> resize(std::uint64_t bytes) = 0;
  // Makes a hole, within the file; where the file system has none, zeros. Errors: those of write_at().
  [[nodiscard]] virtual Result<> punch(std::uint64_t offset, std::uint64_t bytes) = 0;
  // True: both have what `source` has there, and it takes space once, until one of them is written to. False: this file
  // system can't do that, or not there (offsets and size are multiples of its block). Both lie on the same seam.
  // Errors: io (also where `source` ends before).
  [[nodiscard]] virtual Result<bool> share_from(const PageFile& source, std::uint64_t source_offset,
                                                std::uint64_t offset, std::uint64_t bytes) = 0;
  // Shared where it can be, else copied. Errors: those of read_at() and write_at().
  [[nodiscard]] virtual Result<> copy_from(const PageFile& source, std::uint64_t source_offset, std::uint64_t offset,
                                           std::uint64_t bytes) = 0;
  // When it returns, what was written before the call is on disk. The strand goes on meanwhile, and may write.
  [[nodiscard]] virtual Task<Result<>> sync() = 0;
  [[nodiscard]] virtual std::uint64_t used_bytes() const = 0;  // of disk: without holes
};

// Of a directory, for one process. It ends with the process, if not before.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;  // lets it go
};

class PageFiles {
 public:
  virtual ~PageFiles() = default;
  // For reading. Errors: not_found, io.
  [[nodiscard]] virtual Result<std::unique_ptr<PageFile>> open(const std::string& path) = 0;
  // As it is, for reading and writing. Errors: those of open().
  [[nodiscard]] virtual Result<std::unique_ptr<PageFile>> reopen(const std::string& path) = 0;
  // Empty, for reading and writing; replaces one that is there. `mode`: who else may read it. Errors: io.
  [[nodiscard]] virtual Result<std::unique_ptr<PageFile>> create(const std::string& path, unsigned mode) = 0;
  [[nodiscard]] Result<std::unique_ptr<PageFile>> create(const std::string& path) { return create(path, 0600); }
  // Not an error when it is not there.
  [[nodiscard]] virtual Result<> remove(const std::string& path) = 0;
  // Removes every file in it (not directories), and makes it where it is missing. Mode 0700.
  [[nodiscard]] virtual Result<> clear_directory(const std::string& path) = 0;
  // Makes it, and those on the way to it, where they are missing; what is there stays as it is.
  [[nodiscard]] virtual Result<> make_directory(const std::string& path, unsigned mode) = 0;
  // Errors: conflict (another one has it), not_found, io.
  [[nodiscard]] virtual Result<std::unique_ptr<DirectoryLock>> lock_directory(const std::string& path) = 0;
  // What may still be written to the file system of `directory`. Errors: not_found, io.
  [[nodiscard]] virtual Result<std::uint64_t> free_bytes(const std::string& directory) = 0;
};

}  // namespace godwit::sys
