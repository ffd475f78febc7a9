// The files of this host that guests were made of: disk images, kernels, initrds. What the other end has too need not
// cross. They are known by their SHA-256, whatever their names are.
#pragma once

#include "content/library.h"
#include "sys/page_file.h"

#include <map>
#include <string>
#include <vector>

namespace godwit::tunnel {

inline constexpr std::size_t kImages = 4;  // at one end

class Images final {
 public:
  // Reads each file once, to its end. `files` outlives it. Errors: those of PageFiles; exhausted (too many of them).
  [[nodiscard]] static Result<Images> open(sys::PageFiles& files, const std::vector<std::string>& paths);

  [[nodiscard]] std::vector<std::string> digests() const;
  // One content made of several images, in this order; the name that library() knows it by. Empty: none.
  [[nodiscard]] static std::string joined(const std::vector<std::string>& digests);
  // For the encodings; outlives neither this object nor `files`.
  // Kernels among them are unpacked to files in `unpack_directory` that have no names.
  [[nodiscard]] content::Library library(std::string unpack_directory) const;

 private:
  explicit Images(sys::PageFiles& files) : files_(&files) {}
  [[nodiscard]] Result<std::unique_ptr<content::Blocks>> open_joined(const std::string& name,
                                                                     const std::string& unpack_directory) const;

  sys::PageFiles* files_;
  std::map<std::string, std::string> paths_;  // by digest
};

// True for what a digest of an image looks like.
[[nodiscard]] bool is_digest(std::string_view text);
// Those of `wanted` that are in `here`, in the order of `wanted`.
[[nodiscard]] std::vector<std::string> common(const std::vector<std::string>& wanted,
                                              const std::vector<std::string>& here);

}  // namespace godwit::tunnel
