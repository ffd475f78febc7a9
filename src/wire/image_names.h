// Names of images, NAME or NAME:TAG: what they may be, and what is asked and said of them. Names point at contents, as
// many as one likes at one. docs/ops/images.md, Names and tags
#pragma once

#include "wire/json.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace godwit::wire {

inline constexpr std::size_t kImageName_bytes = 128;  // of name and tag, with the colon
inline constexpr std::string_view kImageNameRule =
    "NAME or NAME:TAG, of letters, digits and .-_+, neither beginning with a dot, at most 128 characters";

// It is also a file's name, a word of a URL's path, and of a command line.
[[nodiscard]] constexpr bool is_image_name(std::string_view text) {
  const auto is_part = [](std::string_view part) {
    return !part.empty() && part.front() != '.' && std::ranges::all_of(part, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
             c == '_' || c == '+';
    });
  };
  const auto colon = text.find(':');
  return text.size() <= kImageName_bytes && is_part(text.substr(0, colon)) &&
         (colon == std::string_view::npos || is_part(text.substr(colon + 1)));
}

// POST /v1/images/{name}/tag of sky: `name` means the content of {name} too.
struct TagImage {
  std::string name;
  bool move{false};  // also where it means another content; else that is a conflict
};
BOOST_DESCRIBE_STRUCT(TagImage, (), (name, move))

struct TaggedImage {
  std::string name;
  std::string id;                   // of the content that it means now
  std::string ami;                  // as users of EC2 know it
  std::string before;               // likewise, what it meant until now; empty: that, or nothing
  std::vector<std::string> clouds;  // that have it under this name, or are told so now
};
BOOST_DESCRIBE_STRUCT(TaggedImage, (), (name, id, ami, before, clouds))

// What became of DELETE /v1/images/{name} of sky.
struct UntaggedImage {
  std::string name;
  std::vector<std::string> names;  // that mean its content too, so that it stays
};
BOOST_DESCRIBE_STRUCT(UntaggedImage, (), (name, names))

}  // namespace godwit::wire
