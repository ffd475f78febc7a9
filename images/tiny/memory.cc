#include "memory.h"

#include <sys/sysinfo.h>

#include "text.h"
#include <chrono>

namespace godwit::tiny {
namespace {

constexpr std::uint64_t kPagesPerMib = 256;
constexpr std::uint64_t kTicksPerSecond = 100;
constexpr std::uint64_t kMaxMibPerSecond = 16384;

}  // namespace

DirtyMemory::DirtyMemory() : writer_([this] { run(); }) {}

std::string DirtyMemory::set(std::uint64_t mib_per_s, std::uint64_t mib) {
  const std::lock_guard guard(mutex_);
  const std::uint64_t pages = mib * kPagesPerMib;
  if (mib_per_s > kMaxMibPerSecond) return print("ERR at most %lu MiB/s", kMaxMibPerSecond);
  if (mib > 0 && pages != region_.size()) {
    struct sysinfo now{};
    sysinfo(&now);
    const std::uint64_t free_mib = (now.freeram * now.mem_unit + region_.size() * kPageBytes) >> 20;
    if (mib > free_mib * 3 / 4) return print("ERR %lu MiB asked, %lu MiB free", mib, free_mib);
  }
  if (pages != region_.size()) {
    std::vector<Page>().swap(region_);
    region_.resize(pages);
    next_ = dirtied_ = 0;
    dirty(pages);
  }
  pages_per_tick_ = mib_per_s * kPagesPerMib / kTicksPerSecond;
  changed_.notify_one();
  return print("OK mib=%lu mib_per_s=%lu", mib, mib_per_s);
}

void DirtyMemory::dirty(std::uint64_t pages) {
  for (; pages > 0 && !region_.empty(); --pages) {
    fill(region_[next_], next_, ++dirtied_);
    next_ = (next_ + 1) % region_.size();
  }
}

void DirtyMemory::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return pages_per_tick_ > 0 && !region_.empty(); });
    dirty(pages_per_tick_);
    lock.unlock();
    // Not "until": time lost while the guest stood still is not made up for in a burst.
    std::this_thread::sleep_for(std::chrono::milliseconds(1000 / kTicksPerSecond));
    lock.lock();
  }
}

std::string DirtyMemory::check() {
  const std::lock_guard guard(mutex_);
  std::uint64_t corrupt = 0;
  for (std::uint64_t index = 0; index < region_.size(); ++index)
    corrupt += inspect(region_[index], index) != Found::whole;
  return print("OK pages=%zu dirtied=%lu corrupt=%lu", region_.size(), dirtied_, corrupt);
}

}  // namespace godwit::tiny
