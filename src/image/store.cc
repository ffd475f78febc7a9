#include "image/store.h"

#include "image/qcow2.h"

#include <algorithm>

namespace godwit::image {

Result<Image> Store::open(const std::string& directory, const std::string& expected_sha256) {
  auto image = read_recipe(files_, directory);
  if (!image) return image;
  if (image->recipe.sha256 != expected_sha256) {
    return fail(Errc::invalid_argument, "image {}: holds content {:.12}…, where {:.12}… is wanted", directory,
                image->recipe.sha256, expected_sha256);
  }
  return image;
}

Result<> Store::create_overlay(const Image& image, const std::string& path, std::uint64_t size_bytes, unsigned uid) {
  const auto size = std::max(size_bytes, image.recipe.virtual_size_bytes);
  const auto content = make_overlay(size, image.disk_path, image.recipe.format);
  if (!content) return pass(content);
  const auto written = files_.write_atomic(path, *content, 0600);
  if (!written) return fail(written, "create overlay");
  return files_.change_owner(path, uid);
}

}  // namespace godwit::image
