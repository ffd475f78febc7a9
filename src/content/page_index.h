// What lies beside a store's pages so that a later process can take them up: which tenant each page is of, and what its
// bytes were. Pure. Format: docs/formats/content-store.md.
#pragma once

#include "base/bytes.h"
#include "base/page.h"

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace godwit::content {

inline constexpr std::uint64_t kGroup_pages = 64;  // written, and told of, at once: 256 KiB

// Of a whole store: which segments there are. last < first: none.
struct StoreHead {
  std::uint64_t segment_pages{0};
  std::uint64_t first{0};
  std::uint64_t last{0};
};
inline constexpr std::size_t kStoreHead_bytes = 40;
[[nodiscard]] ByteVector pack(const StoreHead& head);
// Errors: protocol.
[[nodiscard]] Result<StoreHead> parse_store_head(ByteView bytes);

// Of one segment, a file of records: tenants as they are first met, and each group when all of its pages are written.
struct PageGroup {
  struct Page {
    std::uint16_t tenant{0};  // as the segment's index numbers them
    std::uint64_t fingerprint{0};
  };
  std::uint32_t number{0};  // within the segment
  std::array<Page, kGroup_pages> pages{};
};
struct SegmentIndex {
  std::map<std::uint16_t, std::string> tenants;
  std::vector<PageGroup> groups;  // in order
};
inline constexpr std::size_t kTenantName_bytes = 255;
inline constexpr std::size_t kGroupRecord_bytes = 4 + 1 + 4 + kGroup_pages * (2 + 8) + 8;

[[nodiscard]] ByteVector pack_index_begin(std::uint64_t segment);
[[nodiscard]] ByteVector pack_tenant(std::uint16_t number, const std::string& name);
[[nodiscard]] ByteVector pack(const PageGroup& group);
// As much as is whole: a process may have died while it wrote the last record. Groups of `segment_pages` pages at most.
// Errors: protocol (not an index, or another segment's).
[[nodiscard]] Result<SegmentIndex> parse_segment_index(ByteView bytes, std::uint64_t segment,
                                                       std::uint64_t segment_pages);

}  // namespace godwit::content
