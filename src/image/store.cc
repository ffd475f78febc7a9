#include "image/store.h"

#include "image/qcow2.h"

#include <algorithm>

namespace godwit::image {
namespace {

constexpr std::size_t kManifestLimit = 64UL * 1024;

bool is_file_name(const std::string& name) {
  return !name.empty() && name.size() < 200 && name.find('/') == std::string::npos && name != "." && name != "..";
}

}  // namespace

Result<Image> Store::open(const std::string& directory, const std::string& expected_sha256) {
  const auto where = fmt::format("image {}", directory);
  const auto text = files_.read(directory + "/manifest.json", kManifestLimit);
  if (!text) return fail(text, where);
  auto manifest = wire::decode<Manifest>(*text, kManifestLimit);
  if (!manifest) return fail(manifest, where + "/manifest.json");
  if (manifest->sha256 != expected_sha256) {
    return fail(Errc::invalid_argument, "{}: holds content {:.12}…, where {:.12}… is wanted", where, manifest->sha256,
                expected_sha256);
  }
  Image image;
  const auto place = [&](const std::string& name, std::string& path) -> Result<> {
    if (name.empty()) return {};
    if (!is_file_name(name))
      return fail(Errc::invalid_argument, "{}/manifest.json: \"{}\" is no file name", where, name);
    path = directory + "/" + name;
    if (!files_.exists(path)) return fail(Errc::not_found, "{}: {} is missing (build the image again)", where, name);
    return {};
  };
  for (const auto& [name, path] :
       {std::pair{&manifest->disk, &image.disk_path}, std::pair{&manifest->kernel, &image.kernel_path},
        std::pair{&manifest->initrd, &image.initrd_path}}) {
    const auto placed = place(*name, *path);
    if (!placed) return pass(placed);
  }
  image.manifest = std::move(*manifest);
  return image;
}

Result<> Store::create_overlay(const Image& image, const std::string& path, std::uint64_t size_bytes, unsigned uid) {
  const auto size = std::max(size_bytes, image.manifest.virtual_size_bytes);
  const auto content = make_overlay(size, image.disk_path, image.manifest.format);
  if (!content) return pass(content);
  const auto written = files_.write_atomic(path, *content, 0600);
  if (!written) return fail(written, "create overlay");
  return files_.change_owner(path, uid);
}

}  // namespace godwit::image
