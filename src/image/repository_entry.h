// What a repository knows of one of its images. For its sources alone.
#pragma once

#include "image/repository.h"

namespace godwit::image {

inline constexpr std::string_view kSharedName = "shared";

// Shared with the leases, which tell it what has become of the image when the last of them ends.
struct Repository::Entry {
  ImageStatus status;  // `users` is empty here
  std::string manifest;
  std::weak_ptr<StoredImage> open;
  std::multiset<std::string> users;
  std::set<std::string> holders;
  WallTime last_told;
  bool shared{false};  // what it has in common with others takes space once, or can't

  [[nodiscard]] bool in_use() const { return !users.empty() || !holders.empty(); }
  [[nodiscard]] bool is_whole() const {
    const auto image = open.lock();
    return image ? image->complete() : status.complete();
  }
  [[nodiscard]] ImageStatus look() const {
    auto out = status;
    if (const auto image = open.lock()) take(*image, out);
    out.users.assign(users.begin(), users.end());
    out.users.insert(out.users.end(), holders.begin(), holders.end());
    return out;
  }
  static void take(const StoredImage& image, ImageStatus& into) {
    into.has_list = image.has_list();
    into.pieces = image.has_list() ? image.solid() : 0;
    into.missing = image.has_list() ? image.missing() : 0;
    into.need_bytes = image.need_bytes();
  }
};

}  // namespace godwit::image
