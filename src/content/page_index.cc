#include "content/page_index.h"

#include <xxhash.h>

#include <optional>

namespace godwit::content {
namespace {

constexpr std::uint32_t kStoreMagic = 0x47575053;  // "GWPS"
constexpr std::uint32_t kIndexMagic = 0x47575049;  // "GWPI"
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kIndexBegin_bytes = 24;
constexpr std::size_t kCheck_bytes = 8;
constexpr auto kTenantRecord = std::byte{1};
constexpr auto kGroupRecord = std::byte{2};
constexpr std::size_t kTenantHead_bytes = 3;
constexpr std::size_t kGroupHead_bytes = 5;
constexpr std::size_t kGroupPage_bytes = 10;

std::uint64_t check_of(ByteView bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

void append_check(ByteVector& out, std::size_t from) { append_be64(out, check_of(ByteView(out).subspan(from))); }

ByteVector record_of(ByteView payload) {
  ByteVector out;
  append_be32(out, static_cast<std::uint32_t>(payload.size()));
  append(out, payload);
  append_check(out, 4);
  return out;
}

// The payload of the first record, which is taken off; nothing where it is not whole.
std::optional<ByteView> take_record(ByteView& bytes) {
  if (bytes.size() < 4) return std::nullopt;
  const std::size_t size = load_be32(bytes);
  if (size == 0 || size > kGroupRecord_bytes || bytes.size() < 4 + size + kCheck_bytes) return std::nullopt;
  const auto payload = bytes.subspan(4, size);
  if (load_be64(bytes.subspan(4 + size)) != check_of(payload)) return std::nullopt;
  bytes = bytes.subspan(4 + size + kCheck_bytes);
  return payload;
}

PageGroup parse_group(ByteView payload) {
  PageGroup group;
  group.number = load_be32(payload.subspan(1));
  for (std::size_t i = 0; i < kGroup_pages; ++i) {
    const auto page = payload.subspan(kGroupHead_bytes + i * kGroupPage_bytes, kGroupPage_bytes);
    group.pages[i] = {load_be16(page), load_be64(page.subspan(2))};
  }
  return group;
}

}  // namespace

// ---- of the store

ByteVector pack(const StoreHead& head) {
  ByteVector out;
  append_be32(out, kStoreMagic);
  append_be32(out, kVersion);
  append_be64(out, head.segment_pages);
  append_be64(out, head.first);
  append_be64(out, head.last);
  append_check(out, 0);
  return out;
}

Result<StoreHead> parse_store_head(ByteView bytes) {
  const bool ours =
      bytes.size() == kStoreHead_bytes && load_be32(bytes) == kStoreMagic && load_be32(bytes.subspan(4)) == kVersion;
  if (!ours) return fail(Errc::protocol, "the head of a content store: not one of ours");
  if (load_be64(bytes.subspan(kStoreHead_bytes - kCheck_bytes)) != check_of(bytes.first(kStoreHead_bytes - 8))) {
    return fail(Errc::protocol, "the head of a content store: half written");
  }
  return StoreHead{load_be64(bytes.subspan(8)), load_be64(bytes.subspan(16)), load_be64(bytes.subspan(24))};
}

// ---- of a segment

ByteVector pack_index_begin(std::uint64_t segment) {
  ByteVector out;
  append_be32(out, kIndexMagic);
  append_be32(out, kVersion);
  append_be64(out, segment);
  append_check(out, 0);
  return out;
}

ByteVector pack_tenant(std::uint16_t number, const std::string& name) {
  ByteVector payload{kTenantRecord};
  append_be16(payload, number);
  append(payload, as_bytes(name));
  return record_of(payload);
}

ByteVector pack(const PageGroup& group) {
  ByteVector payload{kGroupRecord};
  append_be32(payload, group.number);
  for (const auto& page : group.pages) {
    append_be16(payload, page.tenant);
    append_be64(payload, page.fingerprint);
  }
  return record_of(payload);
}

Result<SegmentIndex> parse_segment_index(ByteView bytes, std::uint64_t segment, std::uint64_t segment_pages) {
  const bool ours = bytes.size() >= kIndexBegin_bytes && load_be32(bytes) == kIndexMagic &&
                    load_be32(bytes.subspan(4)) == kVersion && load_be64(bytes.subspan(8)) == segment &&
                    load_be64(bytes.subspan(16)) == check_of(bytes.first(16));
  if (!ours) return fail(Errc::protocol, "the index of segment {}: not one of ours", segment);
  bytes = bytes.subspan(kIndexBegin_bytes);
  SegmentIndex index;
  while (const auto payload = take_record(bytes)) {
    const auto kind = payload->front();
    const auto size = payload->size();
    if (kind == kTenantRecord && size > kTenantHead_bytes && size <= kTenantHead_bytes + kTenantName_bytes) {
      index.tenants[load_be16(payload->subspan(1))] = as_text(payload->subspan(kTenantHead_bytes));
    } else if (kind == kGroupRecord && size == kGroupHead_bytes + kGroup_pages * kGroupPage_bytes) {
      const auto group = parse_group(*payload);
      const bool in_order = index.groups.empty() || group.number > index.groups.back().number;
      if (!in_order || group.number >= segment_pages / kGroup_pages) break;
      index.groups.push_back(group);
    } else {
      break;
    }
  }
  return index;
}

}  // namespace godwit::content
