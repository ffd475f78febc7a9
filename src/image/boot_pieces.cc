#include "image/boot_pieces.h"

#include <algorithm>

namespace godwit::image {

std::vector<std::uint32_t> boot_pieces(const Manifest& manifest) {
  std::vector<std::uint32_t> out;
  std::uint64_t first = 0;
  for (const auto& file : manifest.files) {
    const auto count = (file.bytes + kPiece_bytes - 1) / kPiece_bytes;
    const auto needed = file.role == Role::disk ? std::min<std::uint64_t>(count, 1) : count;
    for (std::uint64_t i = 0; i < needed; ++i) out.push_back(static_cast<std::uint32_t>(first + i));
    first += count;
  }
  return out;
}

bool may_begin(const Manifest& manifest, const Pieces& pieces) {
  return pieces.has_list() && std::ranges::all_of(boot_pieces(manifest), [&](auto piece) { return pieces.has(piece); });
}

}  // namespace godwit::image
