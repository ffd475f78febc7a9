// What of a page log outlives a process: told beside the pages as they are written, and taken up by the next one.
#include "content/page_log.h"

#include <algorithm>

namespace godwit::content {
namespace {

constexpr std::string_view kHeadName = "/head";
constexpr std::string_view kIndexSuffix = ".index";
// Of one segment: all its groups, and as many tenants as pages could be of.
constexpr std::uint64_t kIndexLimit_bytes = 4ULL << 20U;

Result<ByteVector> read_all(sys::PageFiles& files, const std::string& path, std::uint64_t limit_bytes) {
  const auto file = files.open(path);
  if (!file) return pass(file);
  ByteVector bytes(std::min((*file)->size(), limit_bytes));
  const auto read = (*file)->read_at(0, bytes);
  if (!read) return pass(read);
  return bytes;
}

}  // namespace

// ---- telling

// What can't be told is lost with the process, and nothing else is.
void PageLog::tell_head() {
  if (!tenants_) return;
  if (!head_) {
    auto made = files_.create(directory_ + std::string(kHeadName));
    if (!made) return;
    head_ = std::move(*made);
  }
  StoreHead head{segment_pages_, 1, 0};
  if (!segments_.empty()) head = {segment_pages_, segments_.front().number, segments_.back().number};
  (void)head_->write_at(0, pack(head));
}

void PageLog::tell_segment() {
  if (!tenants_) return;
  auto& segment = segments_.back();
  auto index = files_.create(segment.path + std::string(kIndexSuffix));
  if (index) segment.index = std::move(*index);
  tell(segment, pack_index_begin(segment.number));
  tell_head();
}

// The group at `place` of the newest segment, all of which is written.
void PageLog::tell_group(std::uint64_t place) {
  auto& segment = segments_.back();
  PageGroup group;
  group.number = static_cast<std::uint32_t>(place / kGroup_pages);
  const PageId first = segment.number * segment_pages_ + place + 1;
  for (std::uint64_t i = 0; i < kGroup_pages; ++i) {
    const auto domain = domain_at(segment, place + i);
    if (segment.tenants.insert(domain).second) {
      const auto name = tenants_->name(domain);
      if (!name.empty() && name.size() <= kTenantName_bytes) {
        tell(segment, pack_tenant(static_cast<std::uint16_t>(domain), name));
      }
    }
    group.pages[i] = {static_cast<std::uint16_t>(domain), fingerprint_of(tail_slot(first + i))};
  }
  tell(segment, pack(group));
}

void PageLog::tell(Segment& segment, ByteView record) {
  if (!segment.index) return;
  if (segment.index->write_at(segment.index_bytes, record)) {
    segment.index_bytes += record.size();
  } else {
    segment.index.reset();  // what comes behind a gap would not be read
  }
}

// ---- taking up

Result<StoreHead> PageLog::read_head() const {
  const auto bytes = read_all(files_, directory_ + std::string(kHeadName), kStoreHead_bytes);
  if (!bytes) return pass(bytes);
  return parse_store_head(*bytes);
}

Result<SegmentIndex> PageLog::read_index(std::uint64_t segment) const {
  const auto bytes = read_all(files_, path_of(segment) + std::string(kIndexSuffix), kIndexLimit_bytes);
  if (!bytes) return pass(bytes);
  return parse_segment_index(*bytes, segment, segment_pages_);
}

// Numbers go on behind the last segment: no id is ever used again.
void PageLog::take_up_all() {
  constexpr std::uint64_t kMostSegmentNumber = 1ULL << 40U;
  const auto head = read_head();
  const bool ours = head && head->segment_pages == segment_pages_ && head->first <= head->last &&
                    head->last - head->first < most_segments_ && head->last < kMostSegmentNumber;
  if (!ours) return;
  bool any = false;
  for (auto number = head->first; number <= head->last; ++number) any = take_up(number) || any;
  if (!any) segments_.clear();
  if (!any) return;
  first_ = segments_.front().number * segment_pages_ + 1;
  next_ = tail_first_ = (head->last + 1) * segment_pages_ + 1;
  verification_ = {segments_.back().number, false, {}};
}

// False where nothing of it can be read: it is there, and holds nothing.
bool PageLog::take_up(std::uint64_t number) {
  auto index = read_index(number);
  auto file = files_.open(path_of(number));
  if (!index || !file) {
    segments_.push_back({number, path_of(number), nullptr, {{0, kNoDomain}}, nullptr, 0, {}});
    return false;
  }
  Segment segment{number, path_of(number), std::move(*file), {}, nullptr, 0, {}};
  std::map<std::uint16_t, Domain> domains;
  for (const auto& [their, name] : index->tenants) domains[their] = tenants_->number(name);
  const auto add = [&](std::uint64_t place, Domain domain) {
    if (!segment.runs.empty() && segment.runs.back().domain == domain) return;
    segment.runs.push_back({static_cast<std::uint16_t>(place), static_cast<std::uint16_t>(domain)});
  };
  std::uint64_t place = 0;
  for (const auto& group : index->groups) {
    const auto begin = group.number * kGroup_pages;
    if (segment.file->size() < (begin + kGroup_pages) * kPage_bytes) break;
    if (begin > place) add(place, kNoDomain);
    for (std::uint64_t i = 0; i < kGroup_pages; ++i) add(begin + i, domains[group.pages[i].tenant]);
    place = begin + kGroup_pages;
  }
  if (segment.runs.empty()) add(0, kNoDomain);  // the newest one may have no group yet
  if (place > 0 && place < segment_pages_) add(place, kNoDomain);
  segments_.push_back(std::move(segment));
  return true;
}

bool PageLog::verify_next_group(const Each& each) {
  auto& next = verification_;
  while (!next.done && next.groups.empty()) {
    const bool held = !segments_.empty() && next.segment >= segments_.front().number;
    if (!held) {
      next = {};
      return false;
    }
    if (auto index = read_index(next.segment)) next.groups = std::move(index->groups);
    if (next.groups.empty()) next.done = next.segment-- == segments_.front().number;
  }
  if (next.done) return false;
  const auto group = next.groups.back();
  next.groups.pop_back();
  const PageId first = next.segment * segment_pages_ + std::uint64_t{group.number} * kGroup_pages + 1;
  if (first >= first_) verify(group, first, each);
  if (!next.groups.empty()) return true;
  next.groups = {};
  next.done = next.segment == 0 || next.segment-- <= segments_.front().number;
  return !next.done;
}

void PageLog::verify(const PageGroup& group, PageId first, const Each& each) {
  const auto& file = segment_of(first).file;
  if (!file) return;
  ByteVector pages(kGroup_pages * kPage_bytes);
  const auto read = file->read_at((first - 1) % segment_pages_ * kPage_bytes, pages);
  for (std::uint64_t i = 0; i < kGroup_pages; ++i) {
    const auto page = ByteView(pages).subspan(i * kPage_bytes, kPage_bytes);
    const auto domain = domain_of(first + i);
    if (domain == kNoDomain) continue;
    if (read && fingerprint_of(page) == group.pages[i].fingerprint) {
      each(first + i, domain, page);
    } else {
      drop_page(first + i);
    }
  }
}

// It is of no tenant any more.
void PageLog::drop_page(PageId id) {
  auto& runs = segments_[(id - 1) / segment_pages_ - segments_.front().number].runs;
  const auto place = (id - 1) % segment_pages_;
  auto after = std::upper_bound(runs.begin(), runs.end(), place,
                                [](std::uint64_t wanted, const Run& run) { return wanted < run.place; });
  const auto domain = std::prev(after)->domain;
  const auto end = after == runs.end() ? segment_pages_ : after->place;
  if (place + 1 < end) after = runs.insert(after, {static_cast<std::uint16_t>(place + 1), domain});
  const auto run = std::prev(after);
  if (run->place == place) {
    run->domain = kNoDomain;
  } else {
    runs.insert(after, {static_cast<std::uint16_t>(place), static_cast<std::uint16_t>(kNoDomain)});
  }
}

}  // namespace godwit::content
