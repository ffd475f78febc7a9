// The images of one host that lie where they were built, and the copy-on-write disks of its instances.
#pragma once

#include "image/recipe.h"
#include "sys/runtime.h"

namespace godwit::image {

class Store {
 public:
  explicit Store(sys::Runtime& runtime) : files_(runtime.files) {}

  // Errors: those of read_recipe(); invalid_argument (another content).
  [[nodiscard]] Result<Image> open(const std::string& directory, const std::string& expected_sha256);

  // An empty overlay at `path` (absolute), owned by `uid`, of at least the image's size. Durable when it returns.
  [[nodiscard]] Result<> create_overlay(const Image& image, const std::string& path, std::uint64_t size_bytes,
                                        unsigned uid);

 private:
  sys::Files& files_;
};

}  // namespace godwit::image
