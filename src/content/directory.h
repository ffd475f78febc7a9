// Who knows which digest: the pure parts of a directory that a cloud's agents share. A digest has an owner among them
// (Karger et al., "Consistent hashing and random trees", STOC 1997); the owner knows a host that holds it, that host
// knows the page. What is lost or stale costs ratio only: whoever follows an answer checks the digest of what it gets.
#pragma once

#include "content/digest.h"
#include "content/sketch_key.h"
#include "content/store.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace godwit::content {

// The members that share the directory. A value; the same for the same set of names, in any order, on every host.
class Ring final {
 public:
  Ring() = default;
  // At most 65,535; equal names are one.
  explicit Ring(std::vector<std::string> members);

  [[nodiscard]] bool empty() const { return members_.empty(); }
  [[nodiscard]] const std::vector<std::string>& members() const { return members_; }  // sorted
  // The name of the owner; not of an empty ring.
  [[nodiscard]] const std::string& owner_of(const PageDigest& digest) const;
  [[nodiscard]] const std::string& owner_of(SketchTag tag) const;

 private:
  struct Point {
    std::uint64_t place;
    std::uint32_t member;
  };
  std::vector<std::string> members_;
  std::vector<Point> points_;  // sorted
};

// What this host holds: from a digest to the page in its store. Digests of different domains never meet, as each has a
// key of its own, so one serves for all of them. At most 24 bytes an entry.
class Holdings final {
 public:
  // At most 16 Mi - 1 entries.
  explicit Holdings(std::uint64_t most_entries);
  ~Holdings();
  Holdings(Holdings&&) noexcept;
  Holdings& operator=(Holdings&&) noexcept;

  // In the order of ids, as they were appended; one out of order is not taken, ids that are too far apart forget the
  // oldest.
  void add(const PageDigest& digest, PageId id);
  [[nodiscard]] PageId find(const PageDigest& digest) const;  // 0: none
  // Pages before `first` are gone: evicted from the store.
  void forget_before(PageId first);

  // All entries lie in so many places, of at most 9 each; those of one, appended to `into`. Adding moves entries about.
  [[nodiscard]] std::size_t places() const;
  void list(std::size_t place, std::vector<PageDigest>& into) const;

  [[nodiscard]] std::uint64_t size() const;
  [[nodiscard]] std::uint64_t bytes() const;  // of memory

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A host of the cloud, as this agent numbers it. 0: none.
using HostNumber = std::uint16_t;

// What an owner keeps of a digest, or of a tag: 32 bits of chance. One that means another costs a question.
using Hint = std::uint32_t;
[[nodiscard]] inline Hint hint_of(const PageDigest& digest) { return load_be32(digest); }
[[nodiscard]] constexpr Hint hint_of(SketchTag tag) { return static_cast<Hint>(tag); }

// What this agent knows as an owner, of all domains: from a hint to a host that holds such a page. At most 9 bytes an
// entry; a page has three, of its digest and of its sketch. What was told at about the same time is forgotten at once.
class OwnerTable final {
 public:
  static constexpr HostNumber kMostHosts = 2'047;

  explicit OwnerTable(std::uint64_t most_entries);
  ~OwnerTable();
  OwnerTable(OwnerTable&&) noexcept;
  OwnerTable& operator=(OwnerTable&&) noexcept;

  void add(Hint hint, HostNumber holder);  // the last who says so is believed; 1 to kMostHosts
  [[nodiscard]] HostNumber find(Hint hint) const;
  void forget(Hint hint, HostNumber holder);  // it holds it no longer, unless another does
  // Of a host that departed; its number may be given to another then. Cost: a pass over all entries.
  void drop(HostNumber holder);

  [[nodiscard]] std::uint64_t size() const;  // likewise
  [[nodiscard]] std::uint64_t bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::content
