// The pages that this host has sent or received, immutable, on disk: what references and deltas are relative to.
// In memory are only indexes. A store that was lost costs ratio only: nothing in it is the one copy of anything.
#pragma once

#include "content/blocks.h"
#include "content/sketch.h"
#include "sys/page_file.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace godwit::content {

// Grows by one an appended page, and is never used again. 0: none.
using PageId = std::uint64_t;
// A dedup domain, as this store numbers it: content of one is never found from another.
using Domain = std::uint32_t;
inline constexpr Domain kNoDomain = 0;  // nothing is kept for it, or found

// What is reached first makes room by the oldest pages. At most 64 GiB of disk are used.
struct StoreLimits {
  std::uint64_t disk_bytes{4ULL << 30U};
  std::uint64_t index_bytes{96ULL << 20U};
};

// Values, for people and for tests.
struct StoreUse {
  std::uint64_t pages{0};
  std::uint64_t disk_bytes{0};
  std::uint64_t index_bytes{0};   // of memory, which grows with the pages
  std::uint64_t buffer_bytes{0};  // of memory: the newest pages, and those read ahead; at most 2.1 MiB
  std::uint64_t evicted_pages{0};
};

// 64-bit XXH3: a prefilter, never an identity.
[[nodiscard]] std::uint64_t fingerprint_of(ByteView page);

// One strand; reading too, as pages that are read ahead are kept.
class Store final {
 public:
  // Segments live in `directory`. `empty`: it is emptied, and nothing outlives the process. `kept`: a later process may
  // take up the pages of this one, but for the last 63, and what an earlier one left is taken up: its pages can be read
  // at once, and are found as verify() gets to them. `files` outlives the store.
  enum class Begin : std::uint8_t { empty, kept };
  Store(sys::PageFiles& files, std::string directory, StoreLimits limits, Begin begin = Begin::empty);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // The same number for the same tenant; kNoDomain for more than 65,535 of them.
  [[nodiscard]] Domain domain(const std::string& tenant);

  // Reads about `pages` more of those that an earlier process left, the newest first: they are found from then on, or
  // held no more where they are not what was written. Nothing where all were read; else how many were found to be
  // right.
  [[nodiscard]] std::optional<std::uint64_t> verify(std::uint64_t pages);
  // A path within the directory, for what goes with the pages: it is emptied where they are. Nothing: nothing is kept.
  [[nodiscard]] std::optional<std::string> beside(std::string_view name) const;

  // Keeps a copy. Where a limit is reached, or the disk is full, the oldest pages that nobody has pinned go first, some
  // at once. Content that was there before is found at its new id. Errors: exhausted (all is pinned; no domain), io.
  [[nodiscard]] Result<PageId> append(Domain domain, ByteView page, std::uint64_t fingerprint);
  // The same, by who has the page's sketch already.
  [[nodiscard]] Result<PageId> append(Domain domain, ByteView page, std::uint64_t fingerprint, const Sketch& sketch);
  // Errors: not_found (evicted, or of another domain), io.
  [[nodiscard]] Result<> read(Domain domain, PageId id, ByteSpan into) const;

  // One that is equal, byte for byte; 0 where there is none.
  [[nodiscard]] PageId find(Domain domain, ByteView page, std::uint64_t fingerprint) const;
  // One that is like it, by sketch: a good guess, never a promise; 0 where there is none. `at_least`: no older one.
  [[nodiscard]] PageId find_similar(Domain domain, ByteView page, PageId at_least) const;
  [[nodiscard]] PageId find_alike(Domain domain, const Sketch& sketch, PageId at_least) const;
  // All that it knows, the newest first, for who can't use every page; 0 where there are no more.
  using Alike = std::array<PageId, kSuperFeatures>;
  [[nodiscard]] Alike list_alike(Domain domain, const Sketch& sketch) const;

  // What pages are found by as alike: super-feature `feature` at `place` of a sketch, of some page that is held. All
  // lie in so many places, of at most 9 each; those of one, appended to `into`. Adding pages moves them about.
  struct Likeness {
    Domain domain{kNoDomain};
    std::size_t place{0};
    std::uint32_t feature{0};
  };
  [[nodiscard]] std::size_t likeness_places() const;
  void list_likenesses(std::size_t place, std::vector<Likeness>& into) const;

  // Pages from `id` on are not evicted while the pin lives, which the store must outlive.
  class Pin;
  [[nodiscard]] std::unique_ptr<Pin> pin(PageId id);
  [[nodiscard]] PageId first() const;               // the oldest page that is held; next() where none is
  [[nodiscard]] PageId next() const;                // the id that the next page gets
  [[nodiscard]] Domain domain_of(PageId id) const;  // kNoDomain where there is no such page
  [[nodiscard]] StoreUse use() const;
  [[nodiscard]] std::uint64_t limit_pages() const;
  // So many can be kept before there is room only for what is pinned, unless the disk is full sooner.
  [[nodiscard]] std::uint64_t room_pages() const;  // how many it holds before the oldest go

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class Store::Pin {
 public:
  virtual ~Pin() = default;
};

}  // namespace godwit::content
