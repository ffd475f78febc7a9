// What a page that is like another shares with it, inside one dedup domain: super-features under the domain's key. Who
// lacks the key learns from two tags that two pages are alike, and not what is in them; it can't try out a guess.
#pragma once

#include "content/sketch.h"
#include "crypto/mac.h"

#include <algorithm>
#include <string_view>

namespace godwit::content {

using SketchTag = std::uint64_t;  // never 0

class SketchKey final {
 public:
  explicit SketchKey(ByteView key) : key_(key) {}  // any size but 0: 32 bytes of chance

  // Of the super-feature `feature`, which stands at `place` of its sketch and is not 0.
  [[nodiscard]] SketchTag tag(std::size_t place, std::uint32_t feature) const {
    // Shorter than any proof, and than any page: of the three no one is another (docs/protocols/directory.md).
    std::array<std::byte, kLabel.size() + 5> said{};
    std::ranges::copy(as_bytes(kLabel), said.begin());
    said[kLabel.size()] = static_cast<std::byte>(place);
    store_be32(ByteSpan(said).subspan(kLabel.size() + 1), feature);
    return std::max<SketchTag>(load_be64(key_.compute(said)), 1);
  }

 private:
  static constexpr std::string_view kLabel = "godwit directory sketch";
  crypto::MacKey key_;
};

}  // namespace godwit::content
