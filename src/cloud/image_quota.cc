#include "cloud/image_quota.h"

#include "cloud/tables.h"

#include <map>

namespace godwit::cloud {
namespace {

std::string size_text(std::uint64_t bytes) {
  if (bytes < 1ULL << 30U) return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1ULL << 20U));
  return fmt::format("{:.2f} GiB", static_cast<double>(bytes) / (1ULL << 30U));
}

}  // namespace

ImagesUsed images_used(Sql& sql, const std::string& tenant, const std::string& but_upload,
                       const std::string& but_name) {
  ImagesUsed used;
  std::map<std::string, std::uint64_t> contents;
  for (const auto& row : select<ImageRow>(sql, "tenant = $1 AND manifest <> ''", tenant)) {
    if (row.name == but_name) continue;
    ++used.images;
    contents[row.sha256] = row.need_bytes;
  }
  for (const auto& row : select<UploadRow>(sql, "tenant = $1", tenant)) {
    if (row.image == but_upload || !contents.try_emplace(row.image, row.need_bytes).second) continue;
    ++used.images;
  }
  for (const auto& [content, bytes] : contents) used.bytes += bytes;
  return used;
}

Result<> check_image_quota(const Core& core, const User& user, const ImagesUsed& used, std::uint64_t more_bytes) {
  if (user.is_operator) return {};
  constexpr std::string_view kRemedy = "remove some (godwit image rm), or ask its operator for more";
  if (used.images + 1 > user.quota.images) {
    return fail(Errc::exhausted, "tenant {}: the quota of {} images at {} is full ({} are kept or on their way): {}",
                user.tenant, user.quota.images, core.name(), used.images, kRemedy);
  }
  const auto limit = std::uint64_t{user.quota.image_mib} << 20U;
  if (used.bytes + more_bytes <= limit) return {};
  return fail(Errc::exhausted, "tenant {}: of the quota of {} for images at {} {} are used, and this one needs {}: {}",
              user.tenant, size_text(limit), core.name(), size_text(used.bytes), size_text(more_bytes), kRemedy);
}

}  // namespace godwit::cloud
