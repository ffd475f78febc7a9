#include "image/boot_order.h"

#include <algorithm>

namespace godwit::image {

std::vector<std::uint32_t> pack_boot_order(std::span<const std::uint32_t> pieces) {
  std::vector<std::uint32_t> ranges;
  for (const auto piece : pieces.first(std::min(pieces.size(), kBootOrderSaid))) {
    if (!ranges.empty() && ranges[ranges.size() - 2] + ranges.back() == piece) {
      ++ranges.back();
    } else {
      ranges.insert(ranges.end(), {piece, 1});
    }
  }
  return ranges;
}

Result<std::vector<std::uint32_t>> unpack_boot_order(std::span<const std::uint32_t> ranges, std::uint64_t limit) {
  if (ranges.size() % 2 != 0) return fail(Errc::invalid_argument, "a boot order without its last count");
  std::vector<std::uint32_t> pieces;
  for (; !ranges.empty(); ranges = ranges.subspan(2)) {
    const auto first = ranges[0];
    const auto count = ranges[1];
    if (count == 0 || count > kBootOrderSaid - pieces.size() || first >= limit || count > limit - first) {
      return fail(Errc::invalid_argument, "a boot order of pieces that there are not, or of more than {}",
                  kBootOrderSaid);
    }
    for (std::uint32_t i = 0; i < count; ++i) pieces.push_back(first + i);
  }
  return pieces;
}

std::vector<std::uint32_t> Prefetch::next(const Pieces& pieces) {
  while (at_ < order_.size() && pieces.has(order_[at_])) ++at_;
  std::vector<std::uint32_t> out;
  std::size_t missing = 0;
  for (auto i = at_; i < order_.size() && missing < kPrefetch_pieces; ++i) {
    if (pieces.has(order_[i])) continue;
    ++missing;
    if (asked_.insert(order_[i]).second) out.push_back(order_[i]);
  }
  return out;
}

}  // namespace godwit::image
