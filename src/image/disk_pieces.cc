#include "image/disk_pieces.h"

#include "base/assert.h"

#include <algorithm>

namespace godwit::image {
namespace {

// Takes at most one frame's ranges out of `pieces`.
std::vector<desk::Range> take_from(std::set<std::uint32_t>& pieces) {
  std::vector<std::uint32_t> all(pieces.begin(), pieces.end());
  auto ranges = desk::take_ranges(all);
  pieces = std::set<std::uint32_t>(all.begin(), all.end());
  return ranges;
}

bool fits(desk::Range range, std::uint32_t count) { return range.first <= count && range.count <= count - range.first; }

}  // namespace

DiskPieces::DiskPieces(std::uint64_t bytes)
    : count_(static_cast<std::uint32_t>((bytes + kPiece_bytes - 1) / kPiece_bytes)) {
  GODWIT_ASSERT(bytes <= kPiecesLimit * kPiece_bytes);
  here_.resize(count_);
  is_touched_.resize(count_);
}

desk::Range DiskPieces::range_of(std::uint64_t offset, std::uint64_t length) {
  const auto first = offset / kPiece_bytes;
  const auto last = (offset + std::max<std::uint64_t>(length, 1) - 1) / kPiece_bytes;
  return {static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(last - first + 1)};
}

bool DiskPieces::has(desk::Range range) const {
  for (auto piece = range.first; piece < range.first + range.count; ++piece) {
    if (!here_[piece]) return false;
  }
  return true;
}

// ---- reads

void DiskPieces::touch(desk::Range range) {
  GODWIT_ASSERT(fits(range, count_));
  bool is_new = false;
  for (auto piece = range.first; piece < range.first + range.count; ++piece) {
    if (!is_touched_[piece] && order_.size() < kBootOrderLimit) order_.push_back(piece);
    is_new = is_new || !is_touched_[piece];
    is_touched_[piece] = true;
    if (++reading_[piece] > 1 || here_[piece]) continue;
    ahead_.erase(piece);
    unsaid_ahead_.erase(piece);
    unsaid_.insert(piece);
  }
  if (is_new) look_ahead(range);
}

// By half of what was read in a row before it, so that a guest that stops there has not cost much more than it wanted.
void DiskPieces::look_ahead(desk::Range range) {
  const auto from = range.first + range.count;
  std::uint32_t run = 0;
  while (run < 2 * kAhead_pieces && run < range.first && is_touched_[range.first - 1 - run]) ++run;
  const auto to = std::min(count_, from + run / 2);
  for (auto piece = from; piece < to && ahead_.size() < kMostAhead; ++piece) {
    if (here_[piece] || reading_.contains(piece)) continue;
    if (ahead_.insert(piece).second) unsaid_ahead_.insert(piece);
  }
}

void DiskPieces::leave(desk::Range range) {
  for (auto piece = range.first; piece < range.first + range.count; ++piece) {
    const auto found = reading_.find(piece);
    GODWIT_ASSERT(found != reading_.end());
    if (--found->second > 0) continue;
    reading_.erase(found);
    unsaid_.erase(piece);
  }
}

std::size_t DiskPieces::waited_for() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(reading_, [&](const auto& each) { return !here_[each.first]; }));
}

// ---- what the agent says

void DiskPieces::set_here(std::uint32_t piece, bool here) {
  if (!here && here_[piece] && reading_.contains(piece)) unsaid_.insert(piece);
  here_[piece] = here;
  if (!here) return;
  unsaid_.erase(piece);
  ahead_.erase(piece);
  unsaid_ahead_.erase(piece);
}

Result<> DiskPieces::take(const desk::Map& map) {
  const auto said = std::min<std::uint64_t>(map.bits.size() * 8, count_ - std::min(map.first, count_));
  if (map.bits.size() > (said + 7) / 8) return fail(Errc::protocol, "disk server: a map of more than there is");
  for (std::uint32_t i = 0; i < said; ++i) {
    set_here(map.first + i, (std::to_integer<unsigned>(map.bits[i / 8]) >> (i % 8) & 1U) != 0);
  }
  return {};
}

Result<> DiskPieces::take(const desk::Here& here) {
  for (const auto& range : here.ranges) {
    if (!fits(range, count_)) return fail(Errc::protocol, "disk server: told of pieces that the disk hasn't");
  }
  for (const auto& range : here.ranges) {
    for (auto piece = range.first; piece < range.first + range.count; ++piece) set_here(piece, true);
  }
  return {};
}

// ---- what the agent is told

void DiskPieces::begin_saying() {
  unsaid_.clear();
  for (const auto& [piece, reads] : reading_) {
    if (!here_[piece]) unsaid_.insert(piece);
  }
  unsaid_ahead_ = ahead_;
  said_touched_ = 0;
}

std::optional<desk::Want> DiskPieces::next_want() {
  if (!unsaid_.empty()) return desk::Want{desk::Urgency::now, take_from(unsaid_)};
  if (!unsaid_ahead_.empty()) return desk::Want{desk::Urgency::soon, take_from(unsaid_ahead_)};
  return std::nullopt;
}

std::optional<desk::Touched> DiskPieces::next_touched() {
  if (said_touched_ == order_.size()) return std::nullopt;
  const auto end = std::min(order_.size(), said_touched_ + desk::kTouchedLimit);
  desk::Touched message;
  message.at = static_cast<std::uint32_t>(said_touched_);
  message.pieces.assign(order_.begin() + static_cast<std::ptrdiff_t>(said_touched_),
                        order_.begin() + static_cast<std::ptrdiff_t>(end));
  said_touched_ = end;
  return message;
}

}  // namespace godwit::image
