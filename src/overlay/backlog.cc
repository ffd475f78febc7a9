#include "overlay/backlog.h"

namespace godwit::overlay {

std::uint64_t Backlog::drop_oldest(Waiting& waiting) {
  const auto records = waiting.pieces.front().records;
  const auto size = cost(waiting.pieces.front().bytes.size());
  waiting.pieces.pop_front();
  waiting.bytes -= size;
  bytes_ -= size;
  return records;
}

std::uint64_t Backlog::keep(TimePoint now, PeerId peer, std::uint64_t records, std::size_t datagram_bytes,
                            ByteView bytes) {
  const auto size = cost(bytes.size());
  auto& waiting = peers_[peer];
  std::uint64_t lost = 0;
  while (!waiting.pieces.empty() && waiting.bytes + size > kMostOfAPeer) lost += drop_oldest(waiting);
  if (size > kMostOfAPeer || bytes_ + size > kMostOfAll) {
    if (waiting.pieces.empty()) peers_.erase(peer);
    return lost + records;
  }
  waiting.pieces.push_back({now, records, datagram_bytes, {bytes.begin(), bytes.end()}});
  waiting.bytes += size;
  bytes_ += size;
  return lost;
}

Backlog::Piece* Backlog::front(PeerId peer) {
  if (peers_.empty()) return nullptr;
  const auto found = peers_.find(peer);
  return found == peers_.end() ? nullptr : &found->second.pieces.front();
}

void Backlog::pop(PeerId peer) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  (void)drop_oldest(found->second);
  if (found->second.pieces.empty()) peers_.erase(found);
}

std::uint64_t Backlog::sweep(TimePoint now) {
  std::uint64_t lost = 0;
  for (auto at = peers_.begin(); at != peers_.end();) {
    auto& pieces = at->second.pieces;
    while (!pieces.empty() && now - pieces.front().since > kKeptFor) lost += drop_oldest(at->second);
    at = pieces.empty() ? peers_.erase(at) : std::next(at);
  }
  return lost;
}

}  // namespace godwit::overlay
