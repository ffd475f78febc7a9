#include "image/overlay_content.h"

#include "image/pieces.h"

#include <algorithm>

namespace godwit::image {

Result<std::unique_ptr<OverlayContent>> OverlayContent::open(sys::PageFiles& files, const std::string& overlay,
                                                             const std::string& base, const std::string& base_format) {
  auto blocks = open_overlay_blocks(files, overlay);
  if (!blocks) return pass(blocks);
  auto below = open_content(files, base, base_format);
  if (!below) return pass(below);
  if ((*below)->bytes() > (*blocks)->count() * kPage_bytes) {
    return fail(Errc::unsupported, "{}: shorter than what it is on, {}", overlay, base);
  }
  return std::unique_ptr<OverlayContent>(new OverlayContent(std::move(*blocks), std::move(*below)));
}

std::uint64_t OverlayContent::bytes() const { return overlay_->count() * kPage_bytes; }

bool OverlayContent::is_of_base(std::uint64_t offset) const {
  const auto has = overlay_->has(offset / kPage_bytes);
  return has && !*has;
}

Result<> OverlayContent::read(std::uint64_t offset, ByteSpan into) const {
  const auto& own = *overlay_;
  while (!into.empty()) {
    const auto first = offset / kPage_bytes;
    const auto has = own.has(first);
    if (!has) return pass(has);
    auto end = first + 1;  // of blocks that are at the same place
    while ((end - first) * kPage_bytes < into.size()) {
      const auto next = own.has(end);
      if (!next) return pass(next);
      if (*next != *has) break;
      ++end;
    }
    const auto part = into.first(std::min<std::uint64_t>(into.size(), (end - first) * kPage_bytes));
    const auto below = base_->bytes() > offset ? std::min<std::uint64_t>(part.size(), base_->bytes() - offset) : 0;
    auto done = Result<>{};
    if (*has) {
      done = own.read(first, part);
    } else {
      std::ranges::fill(part.subspan(below), std::byte{0});
      if (below > 0) done = base_->read(offset, part.first(below));
    }
    if (!done) return done;
    into = into.subspan(part.size());
    offset += part.size();
  }
  return {};
}

bool OverlayContent::is_hole(std::uint64_t offset) const {
  const auto& own = *overlay_;
  const auto end = std::min((offset + kPiece_bytes) / kPage_bytes, own.count());
  bool needs_base = false;
  for (auto block = offset / kPage_bytes; block < end; ++block) {
    const auto has = own.has(block);
    if (!has || (*has && !own.is_hole(block))) return false;
    needs_base = needs_base || (!*has && block * kPage_bytes < base_->bytes());
  }
  return !needs_base || base_->is_hole(offset);
}

}  // namespace godwit::image
