#include "cloud/images.h"

#include <algorithm>

namespace godwit::cloud {
namespace {

bool is_name(const std::string& text) {
  return !text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_' || c == '+';
  });
}

}  // namespace

Result<> Images::put_image(const wire::DesiredImage& image) {
  if (!is_name(image.name)) {
    return fail(Errc::invalid_argument, "image \"{}\": the name must be letters, digits and .-_+", image.name);
  }
  if (image.sha256.size() != 64 || image.sha256.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return fail(Errc::invalid_argument, "image {}: sha256 must be 64 hex digits", image.name);
  }
  if (!image.path.starts_with('/')) {
    return fail(Errc::invalid_argument, "image {}: the path on the hosts must be absolute", image.name);
  }
  const auto written = core_.database().write(Durability::full, [&](Sql& sql) -> Result<> {
    put(sql, ImageRow{image.name, image.sha256, image.path});
    return {};
  });
  if (written) core_.announce_change();
  return written;
}

Result<std::vector<wire::DesiredImage>> Images::list() const {
  return core_.database().read([](Sql& sql) -> Result<std::vector<wire::DesiredImage>> {
    std::vector<wire::DesiredImage> out;
    for (auto& row : select<ImageRow>(sql, "true ORDER BY name")) {
      out.push_back({std::move(row.name), std::move(row.sha256), std::move(row.path)});
    }
    return out;
  });
}

}  // namespace godwit::cloud
