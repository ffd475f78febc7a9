// Which tenants bring which images to this cloud, and how far each has come: until they name it, or for a day after
// something came last.
#pragma once

#include "cloud/core.h"
#include "image/upload_ledger.h"

#include <set>
#include <string>
#include <vector>

namespace godwit::cloud {

inline constexpr std::chrono::hours kUploadKept{24};

class Uploads final : public image::UploadLedger {
 public:
  explicit Uploads(Core& core) : core_(core) {}

  // Errors: those of check_image_quota().
  [[nodiscard]] Result<> begin(const std::string& tenant, const image::ImageId& id, std::uint64_t pieces) override;
  [[nodiscard]] Result<image::Upload> find(const std::string& tenant, const image::ImageId& id) override;
  [[nodiscard]] Result<> list_shown(const std::string& tenant, const image::ImageId& id,
                                    std::uint64_t need_bytes) override;
  [[nodiscard]] Result<> pieces_shown(const std::string& tenant, const image::ImageId& id, const image::PieceSet& shown,
                                      std::span<const std::uint64_t> fresh) override;

  // Those of which nothing came for kUploadKept are ended: their images.
  [[nodiscard]] Result<std::vector<image::ImageId>> end_abandoned();
  [[nodiscard]] Result<std::set<image::ImageId>> all() const;

 private:
  Core& core_;
};

// Of a tenant whose request is over.
[[nodiscard]] User user_of_tenant(Sql& sql, const std::string& tenant);
void end_upload(Sql& sql, const std::string& tenant, const image::ImageId& id);

}  // namespace godwit::cloud
