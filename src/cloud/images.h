// The images that a cloud offers: by name to its users, by content to its scheduler, by path to its hosts.
#pragma once

#include "cloud/core.h"
#include "wire/image.h"

#include <optional>
#include <set>
#include <vector>

namespace godwit::cloud {

// As hosts are told it.
[[nodiscard]] wire::DesiredImage desired_of(ImageRow row);
[[nodiscard]] bool is_image_name(const std::string& text);
// What `tenant` means by the name: its own image, else everybody's.
[[nodiscard]] std::optional<ImageRow> find_image(Sql& sql, const std::string& tenant, const std::string& name);

class Images {
 public:
  explicit Images(Core& core) : core_(core) {}

  // Offers the image, or another content under the same name; running instances keep theirs.
  // Errors: invalid_argument (name, digest, or a path that is not absolute).
  [[nodiscard]] Result<> put_image(const wire::DesiredImage& image);
  // `name` means this content from now on, for the user's tenant alone; an operator's is everybody's. `content` has
  // manifest and signature, and is whole in this cloud's store. Errors: invalid_argument.
  [[nodiscard]] Result<> name_content(const User& user, const wire::DesiredImage& content);
  // Instances that run of it keep it. Errors: not_found.
  [[nodiscard]] Result<> remove(const User& user, const std::string& name);
  // All of them.
  [[nodiscard]] Result<std::vector<wire::DesiredImage>> list() const;
  // Those that the user may use: under one name only what it means to them.
  [[nodiscard]] Result<std::vector<wire::DesiredImage>> list(const User& user) const;
  [[nodiscard]] Result<wire::CloudImageList> view(const User& user) const;
  // Whether some name of the user's, or some instance of anybody's, needs the content.
  [[nodiscard]] Result<bool> is_used(const std::string& sha256) const;
  // Of the instances that this cloud has, whether or not they have a name.
  [[nodiscard]] Result<std::set<std::string>> contents_of_instances() const;

 private:
  [[nodiscard]] Result<> put_row(const ImageRow& row);
  // One a name: what it means to the user.
  [[nodiscard]] Result<std::vector<ImageRow>> rows_of(const User& user) const;

  Core& core_;
};

}  // namespace godwit::cloud
