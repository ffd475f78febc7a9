// From a 32-bit hash to the ids that have it: a hint, which whoever asks verifies. No allocation an entry.
// Buckets of one cache line, two for a hash, the emptier one takes a new entry ("balanced allocations": Azar et al.,
// STOC 1994), and where both are full one moves over (cuckoo hashing, Pagh and Rodler, ESA 2001): such buckets fill to
// 95% and lose next to nothing. Ids outside of the window that is
// alive are free slots: forgetting the oldest costs nothing.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace godwit::content {

// Ids in [first, next) are alive. At most 2^(8 * kId_bytes) of them.
struct Window {
  std::uint64_t first{0};
  std::uint64_t next{0};
};

// What a bucket answers at most.
inline constexpr std::size_t kMostCandidates = 4;

struct Candidates {
  std::array<std::uint64_t, kMostCandidates> ids;
  std::size_t count{0};

  [[nodiscard]] std::span<const std::uint64_t> all() const { return std::span(ids).first(count); }
};

// kId_bytes: 3 (9 entries a line, windows of 16 Mi ids) or 4 (8 entries, 4 Gi ids).
template <unsigned kId_bytes>
class IdTable {
 public:
  IdTable() : buckets_(kFewestBuckets) {}

  // Those that are alive, in no order.
  [[nodiscard]] Candidates find(std::uint32_t hash, Window alive) const {
    Candidates found;
    hash = never_zero(hash);
    const auto [a, b] = places_of(hash);
    collect(buckets_[a], hash, alive, found);
    if (b != a) collect(buckets_[b], hash, alive, found);
    return found;
  }

  // The entry of a hash that is there becomes `id`'s: later ones replace earlier ones.
  void replace(std::uint32_t hash, std::uint64_t id, Window alive) {
    hash = never_zero(hash);
    const auto [a, b] = places_of(hash);
    for (auto* bucket : {&buckets_[a], &buckets_[b]}) {
      for (std::size_t i = 0; i < kSlots; ++i) {
        if (bucket->hashes[i] == hash) return bucket->set(i, hash, id);
      }
    }
    place(hash, id, alive);
  }

  // Keeps what is there; not added where there are kMostCandidates already.
  void add(std::uint32_t hash, std::uint64_t id, Window alive) {
    if (find(hash, alive).count < kMostCandidates) place(never_zero(hash), id, alive);
  }

  // Everything that is alive lies in one of so many places; visit(place, …) calls each(hash, id) for what is there.
  // Adding moves things about.
  [[nodiscard]] std::size_t places() const { return buckets_.size(); }
  template <class F>
  void visit(std::size_t place, Window alive, F&& each) const {
    for (std::size_t i = 0; i < kSlots; ++i) {
      if (!buckets_[place].is_free(i, alive)) each(buckets_[place].hashes[i], buckets_[place].id(i, alive));
    }
  }

  // The entries of a hash are there no more.
  void forget(std::uint32_t hash) {
    hash = never_zero(hash);
    const auto [a, b] = places_of(hash);
    for (auto* bucket : {&buckets_[a], &buckets_[b]}) {
      for (auto& each : bucket->hashes) {
        if (each != hash) continue;
        each = 0;
        --used_;
      }
    }
  }

  // What `gone` says so of, by its id, is there no more. Cost: a pass over all.
  template <class F>
  void forget_if(Window alive, F&& gone) {
    for (Bucket& each : buckets_) {
      for (std::size_t i = 0; i < kSlots; ++i) {
        if (each.is_free(i, alive) || !gone(each.id(i, alive))) continue;
        each.hashes[i] = 0;
        --used_;
      }
    }
  }

  // Of memory.
  [[nodiscard]] std::uint64_t bytes() const { return buckets_.capacity() * sizeof(Bucket); }

 private:
  static_assert(kId_bytes == 3 || kId_bytes == 4);
  static constexpr std::size_t kLine_bytes = 64;
  static constexpr std::size_t kSlots = kLine_bytes / (4 + kId_bytes);
  static constexpr std::size_t kFewestBuckets = 16;
  static constexpr std::uint64_t kIdMask = (1ULL << (8 * kId_bytes)) - 1;
  // Fuller than this, it grows by so much: small steps keep memory an entry near its least. From kLeastLoad on it also
  // grows where an entry would have to go; below, only hashes that were chosen to collide do that.
  static constexpr double kMostLoad = 0.95;
  static constexpr double kLeastLoad = 0.80;
  static constexpr double kGrowth = 1.15;

  struct alignas(kLine_bytes) Bucket {
    std::array<std::uint32_t, kSlots> hashes;  // 0: never used
    std::array<std::uint8_t, kSlots * kId_bytes> ids;

    void set(std::size_t slot, std::uint32_t hash, std::uint64_t id) {
      hashes[slot] = hash;
      for (unsigned i = 0; i < kId_bytes; ++i) {
        ids[slot * kId_bytes + i] = static_cast<std::uint8_t>(id >> (8 * i));
      }
    }
    [[nodiscard]] std::uint64_t id(std::size_t slot, Window alive) const {
      std::uint64_t low = 0;
      for (unsigned i = 0; i < kId_bytes; ++i) low |= std::uint64_t{ids[slot * kId_bytes + i]} << (8 * i);
      return alive.first + ((low - alive.first) & kIdMask);
    }
    [[nodiscard]] bool is_free(std::size_t slot, Window alive) const {
      return hashes[slot] == 0 || id(slot, alive) >= alive.next;
    }
  };
  static_assert(sizeof(Bucket) == kLine_bytes);

  struct Places {
    std::size_t a;
    std::size_t b;
  };

  static std::uint32_t never_zero(std::uint32_t hash) { return hash == 0 ? 1 : hash; }

  [[nodiscard]] Places places_of(std::uint32_t hash) const {
    const std::uint32_t other = (hash ^ (hash >> 15U)) * 0x2c1b3c6dU;  // Wellons' "lowbias32", its first round
    return {(hash * std::uint64_t{buckets_.size()}) >> 32U,
            ((other ^ (other >> 12U)) * std::uint64_t{buckets_.size()}) >> 32U};
  }

  static void collect(const Bucket& bucket, std::uint32_t hash, Window alive, Candidates& found) {
    for (std::size_t i = 0; i < kSlots && found.count < kMostCandidates; ++i) {
      if (bucket.hashes[i] == hash && !bucket.is_free(i, alive)) found.ids[found.count++] = bucket.id(i, alive);
    }
  }

  static std::size_t free_slots(const Bucket& bucket, Window alive) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < kSlots; ++i) count += bucket.is_free(i, alive) ? 1 : 0;
    return count;
  }

  void place(std::uint32_t hash, std::uint64_t id, Window alive) {
    if (load() > kMostLoad) rebuild(alive);
    if (insert(hash, id, alive)) return;
    if (load() > kLeastLoad) {
      rebuild(alive);
      if (insert(hash, id, alive)) return;
    }
    auto& bucket = buckets_[places_of(hash).a];
    bucket.set(oldest(bucket, alive), hash, id);
  }

  [[nodiscard]] double load() const {
    return static_cast<double>(used_) / static_cast<double>(buckets_.size() * kSlots);
  }

  // False where there is no room.
  [[nodiscard]] bool insert(std::uint32_t hash, std::uint64_t id, Window alive) {
    const auto [a, b] = places_of(hash);
    const auto free_a = free_slots(buckets_[a], alive);
    const auto free_b = free_slots(buckets_[b], alive);
    auto& bucket = buckets_[free_a >= free_b ? a : b];
    if (std::max(free_a, free_b) == 0) {
      if (make_room(a, alive)) return take_free(buckets_[a], hash, id, alive);
      return make_room(b, alive) && take_free(buckets_[b], hash, id, alive);
    }
    return take_free(bucket, hash, id, alive);
  }

  // One that could as well be in its other bucket goes there, as in a cuckoo table; one step far.
  bool make_room(std::size_t full, Window alive) {
    for (std::size_t i = 0; i < kSlots; ++i) {
      const auto hash = buckets_[full].hashes[i];
      const auto [a, b] = places_of(hash);
      auto& other = buckets_[a == full ? b : a];
      if (free_slots(other, alive) == 0) continue;
      (void)take_free(other, hash, buckets_[full].id(i, alive), alive);
      buckets_[full].hashes[i] = 0;
      --used_;
      return true;
    }
    return false;
  }

  // True: there is one.
  bool take_free(Bucket& bucket, std::uint32_t hash, std::uint64_t id, Window alive) {
    std::size_t slot = 0;
    while (!bucket.is_free(slot, alive)) ++slot;
    used_ += bucket.hashes[slot] == 0 ? 1 : 0;
    bucket.set(slot, hash, id);
    return true;
  }

  static std::size_t oldest(const Bucket& bucket, Window alive) {
    std::size_t slot = 0;
    for (std::size_t i = 1; i < kSlots; ++i) {
      if (bucket.id(i, alive) < bucket.id(slot, alive)) slot = i;
    }
    return slot;
  }

  // Drops what is no longer alive; grows where that makes too little room.
  void rebuild(Window alive) {
    std::size_t living = 0;
    for (const Bucket& each : buckets_) living += kSlots - free_slots(each, alive);
    const auto wanted = static_cast<double>(living) * kGrowth / kMostLoad / static_cast<double>(kSlots) + 1;
    std::vector<Bucket> before(std::max(buckets_.size(), static_cast<std::size_t>(wanted)));
    before.swap(buckets_);
    used_ = 0;
    for (const Bucket& each : before) {
      for (std::size_t i = 0; i < kSlots; ++i) {
        if (!each.is_free(i, alive)) (void)insert(each.hashes[i], each.id(i, alive), alive);
      }
    }
  }

  std::vector<Bucket> buckets_;
  std::size_t used_{0};  // slots with a hash, alive or not
};

}  // namespace godwit::content
