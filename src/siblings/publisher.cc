#include "siblings/publisher.h"

#include "base/page.h"

#include <algorithm>

namespace godwit::siblings {
namespace {

constexpr Millis kTick{25};       // while there is something to do
constexpr Millis kLook{500};      // whether there is
constexpr Seconds kBusyAfter{1};  // since the last page was appended
constexpr Millis kFlushAfter{250};
constexpr std::size_t kBatch = 1024;
// 9 entries each: 46,000 entries a second, which is at most 0.7 MB/s where all of them are to be told.
constexpr std::size_t kPlacesPerTick = 128;

constexpr std::size_t pages_per_tick(std::uint64_t bytes_per_s) {
  return static_cast<std::size_t>(bytes_per_s * kTick.count() / 1000 / kPage_bytes);
}

}  // namespace

void Publisher::set_ring(content::Ring ring) {
  if (ring.members() == ring_.members()) return;
  // Before the first one nothing was told.
  if (!next_walk_.before && !ring_.empty()) next_walk_.before = std::move(ring_);
  ring_ = std::move(ring);
}

bool Publisher::idle() const { return !holder_.has_more() && walk_.empty() && next_walk_.empty() && outbox_.empty(); }

TimePoint Publisher::step(TimePoint now) {
  if (ring_.empty()) return now + kLook;
  publish(now);
  if (refresh_at_ == TimePoint{}) refresh_at_ = now + kRefreshEvery;
  if (now >= refresh_at_ && walk_.empty()) next_walk_.everything = true;
  if (walk_.empty() && !next_walk_.empty()) {
    walk_ = std::exchange(next_walk_, {});
    walk_.places = holder_.places();
  }
  if (!walk_.empty()) walk(now);
  const bool more = holder_.has_more() || !walk_.empty() || !next_walk_.empty();
  if (!more || now >= flush_at_) {
    flush_all();
    flush_at_ = now + kFlushAfter;
  }
  return now + (more ? Nanos{kTick} : Nanos{kLook});
}

void Publisher::publish(TimePoint now) {
  if (holder_.appended() != appended_) {
    appended_ = holder_.appended();
    grew_at_ = now;
  }
  const bool busy = now - grew_at_ < kBusyAfter;
  Entries published;
  holder_.publish(pages_per_tick(busy ? kBusyRate_bytes_per_s : kQuietRate_bytes_per_s), published);
  for (const auto& each : published.digests) tell(each, ring_.owner_of(each));
  for (const auto each : published.tags) tell(each, ring_.owner_of(each));
}

void Publisher::walk(TimePoint now) {
  if (walk_.places != holder_.places()) {  // it has grown: everything lies elsewhere
    walk_.places = holder_.places();
    walk_.place = 0;
  }
  Entries there;
  for (std::size_t i = 0; i < kPlacesPerTick && walk_.place < walk_.places; ++i) holder_.list(walk_.place++, there);
  const auto tell_due = [&](const auto& each) {
    const auto& owner = ring_.owner_of(each);
    const bool moved = walk_.before && walk_.before->owner_of(each) != owner;
    if (moved || walk_.everything || walk_.owners.contains(owner)) tell(each, owner);
  };
  std::ranges::for_each(there.digests, tell_due);
  std::ranges::for_each(there.tags, tell_due);
  if (walk_.place < walk_.places) return;
  if (walk_.everything) refresh_at_ = now + kRefreshEvery;
  walk_ = {};
}

void Publisher::tell(const PageDigest& digest, const std::string& owner) {
  auto& batch = outbox_[owner];
  batch.digests.push_back(digest);
  flush_full(owner, batch);
}

void Publisher::tell(SketchTag tag, const std::string& owner) {
  auto& batch = outbox_[owner];
  batch.tags.push_back(tag);
  flush_full(owner, batch);
}

void Publisher::flush_full(const std::string& owner, Entries& batch) {
  if (batch.digests.size() < kBatch && batch.tags.size() < content::kSuperFeatures * kBatch) return;
  tell_(owner, std::exchange(batch, {}));
}

void Publisher::flush_all() {
  for (auto& [owner, batch] : std::exchange(outbox_, {})) {
    if (!batch.empty()) tell_(owner, std::move(batch));
  }
}

}  // namespace godwit::siblings
