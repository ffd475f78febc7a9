// What a tenant's images take of a cloud's store, and whether there may be more.
#pragma once

#include "cloud/core.h"

namespace godwit::cloud {

struct ImagesUsed {
  std::uint64_t images{0};  // names, and contents that are on their way
  std::uint64_t bytes{0};   // of the store; each content once
};
// `but_upload`: a content that is on its way, or `but_name`, is not counted.
[[nodiscard]] ImagesUsed images_used(Sql& sql, const std::string& tenant, const std::string& but_upload = "",
                                     const std::string& but_name = "");

// One image more, which takes so many bytes more. An operator's images are everybody's, and have no limit. Errors:
// exhausted, with what is used, what is allowed, and what to do.
[[nodiscard]] Result<> check_image_quota(const Core& core, const User& user, const ImagesUsed& used,
                                         std::uint64_t more_bytes);

}  // namespace godwit::cloud
