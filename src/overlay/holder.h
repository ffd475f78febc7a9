// Frames for instances that stand still while they change host: kept back in order, and let go to where they are then.
// Pure.
#pragma once

#include "overlay/segments.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace godwit::overlay {

constexpr Seconds kHoldLimit{10};  // then the guest gets them: whoever wanted them held is gone
constexpr std::size_t kHeldFrames = 512;
constexpr std::size_t kHeldBytes = std::size_t{4} << 20U;

struct HeldFrame {
  ByteVector bytes;
  sys::Offload offload;
};

struct Held {
  std::string network;
  std::string instance;
  std::vector<HeldFrame> frames;
};

class Holder {
 public:
  void hold(TimePoint now, const std::string& network, const std::string& instance) {
    auto& kept = kept_[instance];
    kept.held.network = network;
    kept.held.instance = instance;
    kept.until = now + kHoldLimit;
  }
  // Let go at the next take_ended(). Nothing happens when it is not held.
  void end(TimePoint now, const std::string& instance) {
    const auto found = kept_.find(instance);
    if (found != kept_.end()) found->second.until = now;
  }
  // False: it is full.
  [[nodiscard]] bool keep(const std::string& instance, ByteView frame, const sys::Offload& offload) {
    const auto found = kept_.find(instance);
    if (found == kept_.end()) return false;
    auto& kept = found->second;
    if (kept.held.frames.size() == kHeldFrames || kept.bytes + frame.size() > kHeldBytes) return false;
    kept.bytes += frame.size();
    kept.held.frames.push_back({{frame.begin(), frame.end()}, offload});
    return true;
  }

  // Those that have moved, are gone, or whose time is over. Costs nothing while nothing is held.
  [[nodiscard]] std::vector<Held> take_ended(TimePoint now, const Segments& segments) {
    std::vector<Held> out;
    for (auto each = kept_.begin(); each != kept_.end();) {
      auto* segment = segments.find(each->second.held.network);
      const auto* member = segment ? segment->find(each->first) : nullptr;
      const bool ended = !member || !member->here || now >= each->second.until;
      if (ended) out.push_back(std::move(each->second.held));
      each = ended ? kept_.erase(each) : std::next(each);
    }
    return out;
  }
  [[nodiscard]] std::optional<TimePoint> next_deadline() const {
    std::optional<TimePoint> next;
    for (const auto& [instance, kept] : kept_) next = std::min(next.value_or(kept.until), kept.until);
    return next;
  }

 private:
  struct Kept {
    Held held;
    std::size_t bytes{0};
    TimePoint until{};
  };
  std::map<std::string, Kept> kept_;  // by instance
};

}  // namespace godwit::overlay
