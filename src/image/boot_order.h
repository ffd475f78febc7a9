// The order in which a boot reads an image: said by a host where an instance has booted, kept by its cloud, and
// followed by hosts where another is to boot before the image is there. Pure. docs/protocols/disk-server.md.
#pragma once

#include "base/result.h"
#include "image/pieces.h"

#include <cstdint>
#include <set>
#include <span>
#include <vector>

namespace godwit::image {

inline constexpr std::size_t kBootOrderSaid = 4096;  // pieces: the first 256 MiB
inline constexpr std::size_t kPrefetch_pieces =
    16;  // that are asked for at a time: a read waits for no more than these

// As first, count, first, count, …: of `pieces` in their order, the first kBootOrderSaid.
[[nodiscard]] std::vector<std::uint32_t> pack_boot_order(std::span<const std::uint32_t> pieces);
// The other way. Errors: invalid_argument (odd, empty ranges, more than kBootOrderSaid, or a piece that is not below
// `limit`).
[[nodiscard]] Result<std::vector<std::uint32_t>> unpack_boot_order(std::span<const std::uint32_t> ranges,
                                                                   std::uint64_t limit);

// Says what is to be asked for now, so that an image's pieces come in a boot's order.
class Prefetch {
 public:
  Prefetch() = default;
  explicit Prefetch(std::vector<std::uint32_t> order) : order_(std::move(order)) {}

  // The next few that are not here, without those that were said before; after each piece that comes. Cost: the window.
  [[nodiscard]] std::vector<std::uint32_t> next(const Pieces& pieces);
  // Whoever brings them may have forgotten: next() says them all anew.
  void again() { asked_.clear(); }
  [[nodiscard]] const std::vector<std::uint32_t>& order() const { return order_; }

 private:
  std::vector<std::uint32_t> order_;
  std::size_t at_{0};  // the first that is not here
  std::set<std::uint32_t> asked_;
};

}  // namespace godwit::image
