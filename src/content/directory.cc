#include "content/directory.h"

#include "base/assert.h"
#include "content/digest_table.h"
#include "content/id_table.h"

#include <xxhash.h>

#include <algorithm>

namespace godwit::content {
namespace {

constexpr std::uint64_t kPointsEach = 128;  // shares of members differ by about 1/sqrt(128): 9%
constexpr std::size_t kMostMembers = 65'535;
constexpr std::uint64_t kIdMask = (1ULL << 24U) - 1;

}  // namespace

Ring::Ring(std::vector<std::string> members) : members_(std::move(members)) {
  std::sort(members_.begin(), members_.end());
  members_.erase(std::unique(members_.begin(), members_.end()), members_.end());
  GODWIT_ASSERT(members_.size() <= kMostMembers);
  points_.reserve(members_.size() * kPointsEach);
  for (std::uint32_t member = 0; member < members_.size(); ++member) {
    const auto& name = members_[member];
    for (std::uint64_t i = 0; i < kPointsEach; ++i) {
      points_.push_back({XXH3_64bits_withSeed(name.data(), name.size(), i), member});
    }
  }
  std::sort(points_.begin(), points_.end(), [](const Point& a, const Point& b) {
    return a.place != b.place ? a.place < b.place : a.member < b.member;
  });
}

const std::string& Ring::owner_of(const PageDigest& digest) const {
  return owner_of(load_be64(ByteView(digest).last(8)));
}

const std::string& Ring::owner_of(SketchTag place) const {
  GODWIT_ASSERT(!points_.empty());
  const auto after = std::lower_bound(points_.begin(), points_.end(), place,
                                      [](const Point& point, std::uint64_t wanted) { return point.place < wanted; });
  return members_[after == points_.end() ? points_.front().member : after->member];
}

struct Holdings::Impl {
  // Of an entry, of which the low bits are known; ids in the table are never further apart than those tell.
  [[nodiscard]] PageId id_of(std::uint64_t number) const { return first + ((table.value(number) - first) & kIdMask); }

  std::uint64_t most;
  DigestTable<3> table;
  PageId first{1};  // no older id is in the table
  PageId last{0};
};

Holdings::Holdings(std::uint64_t most_entries)
    : impl_(std::make_unique<Impl>(
          Impl{std::clamp<std::uint64_t>(most_entries, 1, DigestTable<3>::kMostEntries), {}, 1, 0})) {}
Holdings::~Holdings() = default;
Holdings::Holdings(Holdings&&) noexcept = default;
Holdings& Holdings::operator=(Holdings&&) noexcept = default;

void Holdings::add(const PageDigest& digest, PageId id) {
  if (id <= impl_->last || id < impl_->first) return;
  if (id - impl_->first > kIdMask) forget_before(id - kIdMask);
  while (impl_->table.size() >= impl_->most) impl_->table.forget_oldest();
  impl_->table.add(digest, static_cast<std::uint32_t>(id & kIdMask));
  impl_->last = id;
}

PageId Holdings::find(const PageDigest& digest) const {
  const auto number = impl_->table.find(digest);
  return number ? impl_->id_of(*number) : 0;
}

void Holdings::forget_before(PageId first) {
  if (first <= impl_->first) return;
  while (impl_->table.size() > 0 && impl_->id_of(impl_->table.first()) < first) impl_->table.forget_oldest();
  impl_->first = first;
}

std::size_t Holdings::places() const { return impl_->table.places(); }

void Holdings::list(std::size_t place, std::vector<PageDigest>& into) const {
  impl_->table.visit(place, [&](const PageDigest& digest, std::uint64_t) { into.push_back(digest); });
}

std::uint64_t Holdings::size() const { return impl_->table.size(); }
std::uint64_t Holdings::bytes() const { return impl_->table.bytes(); }

// An entry's id in the table is its age and its holder; what is too old is not alive.
struct OwnerTable::Impl {
  static constexpr unsigned kHostBits = 11;
  static constexpr std::uint64_t kHostMask = (1U << kHostBits) - 1;
  static_assert(kHostMask == kMostHosts);
  static constexpr std::uint64_t kMostAges = 4096;  // half of what the table's 24 bits tell apart

  [[nodiscard]] Window alive() const { return {(age - std::min(age, ages - 1)) << kHostBits, (age + 1) << kHostBits}; }

  std::uint64_t an_age;  // entries
  std::uint64_t ages;
  IdTable<3> table;
  std::uint64_t age{0};
  std::uint64_t in_age{0};
};

OwnerTable::OwnerTable(std::uint64_t most_entries) {
  const auto an_age = std::max<std::uint64_t>((most_entries + Impl::kMostAges - 1) / Impl::kMostAges, 1);
  impl_ = std::make_unique<Impl>(Impl{an_age, std::max<std::uint64_t>(most_entries / an_age, 1), {}, 0, 0});
}
OwnerTable::~OwnerTable() = default;
OwnerTable::OwnerTable(OwnerTable&&) noexcept = default;
OwnerTable& OwnerTable::operator=(OwnerTable&&) noexcept = default;

void OwnerTable::add(Hint hint, HostNumber holder) {
  auto& at = *impl_;
  if (holder == 0 || holder > kMostHosts) return;
  if (at.in_age == at.an_age) {
    ++at.age;
    at.in_age = 0;
  }
  ++at.in_age;
  at.table.replace(hint, at.age << Impl::kHostBits | holder, at.alive());
}

HostNumber OwnerTable::find(Hint hint) const {
  std::uint64_t newest = 0;
  for (const auto id : impl_->table.find(hint, impl_->alive()).all()) newest = std::max(newest, id);
  return static_cast<HostNumber>(newest & Impl::kHostMask);
}

void OwnerTable::forget(Hint hint, HostNumber holder) {
  if (find(hint) != holder) return;
  impl_->table.forget(hint);
}

void OwnerTable::drop(HostNumber holder) {
  impl_->table.forget_if(impl_->alive(), [&](std::uint64_t id) { return (id & Impl::kHostMask) == holder; });
}

std::uint64_t OwnerTable::size() const {
  std::uint64_t size = 0;
  for (std::size_t place = 0; place < impl_->table.places(); ++place) {
    impl_->table.visit(place, impl_->alive(), [&](std::uint32_t, std::uint64_t) { ++size; });
  }
  return size;
}

std::uint64_t OwnerTable::bytes() const { return impl_->table.bytes(); }

}  // namespace godwit::content
