// Pages by id, in append-only files of one size: what a store keeps, without knowing what is in it.
// id - 1 divided by the pages of a segment is the segment's number, the rest the place in it. The newest pages are in
// memory too: what was just sent or received is what is asked for most.
#pragma once

#include "base/page.h"
#include "content/page_index.h"
#include "content/store.h"

#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <vector>

namespace godwit::content {

class PageLog final {
 public:
  // At most `most_pages` on disk, in 64 segments where that makes them no smaller than 64 pages and no larger than
  // 256 MiB; at least 2.
  // What is in the directory goes. With `tenants` a later process can take up what this one leaves, and what an earlier
  // one left is taken up as far as it can be read. Tenants have their names on disk, their numbers here.
  struct Tenants {
    std::function<Domain(const std::string& name)> number;  // kNoDomain: its pages are left out
    std::function<std::string(Domain)> name;
  };
  PageLog(sys::PageFiles& files, std::string directory, std::uint64_t most_pages,
          std::optional<Tenants> tenants = std::nullopt);

  // Compares one group of what was taken up with what was written, the newest segment first. Pages that are as they
  // were are given to `each`, others are held no more. False when there is no such group left.
  using Each = std::function<void(PageId id, Domain domain, ByteView page)>;
  [[nodiscard]] bool verify_next_group(const Each& each);

  // As Store::append. The id is given only when this succeeds.
  [[nodiscard]] Result<PageId> append(Domain domain, ByteView page);
  // Valid until the next call. Errors: not_found, io.
  [[nodiscard]] Result<ByteView> view(PageId id) const;
  // 0 where there is no such page.
  [[nodiscard]] Domain domain_of(PageId id) const;

  [[nodiscard]] PageId first() const { return first_; }  // the oldest that is held; next() when none is
  [[nodiscard]] PageId next() const { return next_; }
  [[nodiscard]] std::uint64_t room_pages() const;
  [[nodiscard]] std::uint64_t disk_bytes() const;
  [[nodiscard]] std::uint64_t index_bytes() const;   // of memory, that grows with the pages
  [[nodiscard]] std::uint64_t buffer_bytes() const;  // of memory, that doesn't

  using Pins = std::multiset<PageId>;
  [[nodiscard]] Pins& pins() { return pins_; }  // pages from the least of them on stay

 private:
  // Pages of one domain, from a place in the segment up to the next run.
  struct Run {
    std::uint16_t place;
    std::uint16_t domain;
  };
  struct Segment {
    std::uint64_t number;
    std::string path;
    std::unique_ptr<sys::PageFile> file;
    std::vector<Run> runs;
    std::unique_ptr<sys::PageFile> index;  // nullptr: nothing more is told of it
    std::uint64_t index_bytes{0};
    std::set<Domain> tenants;  // that the index has named
  };
  // What of the segments that were taken up is still to be compared.
  struct Verification {
    std::uint64_t segment{0};
    bool done{true};
    std::vector<PageGroup> groups;  // of this segment, the last one is the next
  };

  [[nodiscard]] Result<> open_segment(std::uint64_t number);
  [[nodiscard]] bool evict_oldest();
  [[nodiscard]] Result<> write_group();
  [[nodiscard]] Result<> write_to_disk(std::uint64_t place, ByteView pages);
  [[nodiscard]] Result<ByteView> view_on_disk(PageId id) const;
  [[nodiscard]] const Segment& segment_of(PageId id) const;
  [[nodiscard]] ByteSpan tail_slot(PageId id) const;
  [[nodiscard]] static Domain domain_at(const Segment& segment, std::uint64_t place);
  [[nodiscard]] std::string path_of(std::uint64_t segment) const;

  // What outlives the process: page_log_kept.cc.
  void tell_head();
  void tell_segment();
  void tell_group(std::uint64_t place);
  void tell(Segment& segment, ByteView record);
  void take_up_all();
  [[nodiscard]] Result<StoreHead> read_head() const;
  [[nodiscard]] Result<SegmentIndex> read_index(std::uint64_t segment) const;
  [[nodiscard]] bool take_up(std::uint64_t segment);
  void verify(const PageGroup& group, PageId first, const Each& each);
  void drop_page(PageId id);

  sys::PageFiles& files_;
  std::string directory_;
  std::uint64_t segment_pages_;
  std::uint64_t most_segments_;
  Result<> cleared_;
  std::deque<Segment> segments_;
  PageId first_{1};
  PageId next_{1};
  Pins pins_;
  std::optional<Tenants> tenants_;  // nothing: what is in the directory goes with this process
  std::unique_ptr<sys::PageFile> head_;
  Verification verification_;
  PageId tail_first_{1};     // older pages were never in the tail
  mutable ByteVector tail_;  // a ring of the newest pages
  // Pages read ahead: the siblings of what was asked for mostly come in their order.
  mutable ByteVector ahead_;
  mutable PageId ahead_first_{0};
  mutable std::uint64_t ahead_count_{0};
  mutable PageId last_read_{0};
};

}  // namespace godwit::content
