// The images that a cloud offers: by name to its users, by content to its scheduler, by path to its hosts.
#pragma once

#include "cloud/core.h"

namespace godwit::cloud {

class Images {
 public:
  explicit Images(Core& core) : core_(core) {}

  // Offers the image, or another content under the same name; running instances keep theirs.
  // Errors: invalid_argument (name, digest, or a path that is not absolute).
  [[nodiscard]] Result<> put_image(const wire::DesiredImage& image);
  [[nodiscard]] Result<std::vector<wire::DesiredImage>> list() const;

 private:
  Core& core_;
};

}  // namespace godwit::cloud
