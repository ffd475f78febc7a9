#include "lab/link.h"

#include <algorithm>

namespace godwit::lab {
namespace {
constexpr std::uint64_t kMillion = 1'000'000;
}  // namespace

Link::Link(LinkShape shape, std::uint64_t seed) : shape_(shape), chance_(seed) {}

Nanos Link::transmission(std::size_t bytes) const {
  if (shape_.rate_bps == 0) return Nanos{0};
  return Nanos{static_cast<std::int64_t>(bytes * 8 * 1'000'000'000ULL / shape_.rate_bps)};
}

Nanos Link::queue_limit() const { return std::max(kQueueLimit, transmission(kLeastQueueBytes)); }

// A draw for every packet, also without loss, so that setting the loss for a while does not shift what follows.
bool Link::lose() { return chance_() % kMillion < shape_.loss_ppm; }

void Link::reshape(TimePoint now, const LinkShape& shape) {
  const Nanos waiting = std::max(free_at_ - now, Nanos{0});
  const auto waiting_bytes = shape_.rate_bps == 0 ? 0.0 : to_s(waiting) * static_cast<double>(shape_.rate_bps) / 8;
  shape_ = shape;
  free_at_ = now + transmission(static_cast<std::size_t>(waiting_bytes));
  if (shape_.cut) {
    counters_.lost += held_.size();
    held_.clear();
    free_at_ = now;
    last_due_ = now;
  }
}

void Link::offer(TimePoint now, Packet packet) {
  if (lose() || shape_.cut) {
    ++counters_.lost;
    return;
  }
  const Nanos waiting = free_at_ - now;
  if (waiting > queue_limit() || held_.size() >= kMostHeldPackets) {
    ++counters_.overflowed;
    return;
  }
  free_at_ = std::max(free_at_, now) + transmission(packet->size);
  last_due_ = std::max(last_due_, free_at_ + shape_.delay);
  held_.push_back({last_due_, std::move(packet)});
}

std::optional<TimePoint> Link::next_deadline() const {
  if (held_.empty()) return std::nullopt;
  return held_.front().due;
}

Packet Link::take_due(TimePoint now) {
  if (held_.empty() || held_.front().due > now) return nullptr;
  Packet packet = std::move(held_.front().packet);
  held_.pop_front();
  ++counters_.packets;
  counters_.bytes += packet->size;
  return packet;
}

}  // namespace godwit::lab
