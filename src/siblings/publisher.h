// Tells the owners of digests what this host holds: what is new, at a rate that leaves room for whatever else runs;
// again what moved to another owner, or what an owner may have lost; and everything now and then, for an owner knows
// one holder of a digest only, and who was believed before is forgotten. Sans-I/O.
#pragma once

#include "content/directory.h"
#include "siblings/holder.h"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace godwit::siblings {

// What is read and digested, while pages are appended and while none are.
inline constexpr std::uint64_t kBusyRate_bytes_per_s = 8ULL << 20U;
inline constexpr std::uint64_t kQuietRate_bytes_per_s = 64ULL << 20U;
// From the end of one telling of everything to the next.
inline constexpr Seconds kRefreshEvery{600};

class Publisher final {
 public:
  using Tell = std::function<void(const std::string& owner, Entries entries)>;
  // `holder` outlives it. `tell` has at most kDigestsLimit digests and kTagsLimit tags at a time.
  Publisher(Holder& holder, Tell tell) : holder_(holder), tell_(std::move(tell)) {}

  void set_ring(content::Ring ring);
  // Everything of which `owner` is the owner is told to it again.
  void owe(const std::string& owner) { next_walk_.owners.insert(owner); }
  [[nodiscard]] const content::Ring& ring() const { return ring_; }

  // What is due now; when to come again.
  [[nodiscard]] TimePoint step(TimePoint now);
  [[nodiscard]] bool idle() const;  // all that is there has been told, once

 private:
  // A pass over all that is published, for those owners and for what had another owner before.
  struct Walk {
    std::optional<content::Ring> before;
    std::set<std::string> owners;
    bool everything{false};
    std::size_t place{0};
    std::size_t places{0};  // of the whole, when it began

    [[nodiscard]] bool empty() const { return !before && owners.empty() && !everything; }
  };
  void publish(TimePoint now);
  void walk(TimePoint now);
  void tell(const PageDigest& digest, const std::string& owner);
  void tell(SketchTag tag, const std::string& owner);
  void flush_full(const std::string& owner, Entries& batch);
  void flush_all();

  Holder& holder_;
  Tell tell_;
  content::Ring ring_;
  Walk walk_;       // under way
  Walk next_walk_;  // begins when that has ended
  std::map<std::string, Entries> outbox_;
  content::PageId appended_{0};
  TimePoint grew_at_{};
  TimePoint flush_at_{};
  TimePoint refresh_at_{};
};

}  // namespace godwit::siblings
