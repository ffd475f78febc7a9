#include "content/page_log.h"

#include "base/assert.h"

#include <algorithm>

namespace godwit::content {
namespace {

constexpr std::uint64_t kTail_pages = 512;               // 2 MiB
constexpr std::uint64_t kAhead_pages = 16;               // 64 KiB
constexpr std::uint64_t kLargestSegment_pages = 65'536;  // 256 MiB: what a place of 16 bits tells
// A store that is not small has so many: what is evicted at once, and files that are open.
constexpr std::uint64_t kSegments = 64;
static_assert(kTail_pages % kGroup_pages == 0 && kLargestSegment_pages % kGroup_pages == 0);

std::uint64_t segment_pages_for(std::uint64_t most_pages) {
  const auto share = most_pages / kSegments / kGroup_pages * kGroup_pages;
  return std::clamp(share, kGroup_pages, kLargestSegment_pages);
}

}  // namespace

PageLog::PageLog(sys::PageFiles& files, std::string directory, std::uint64_t most_pages, std::optional<Tenants> tenants)
    : files_(files),
      directory_(std::move(directory)),
      segment_pages_(segment_pages_for(most_pages)),
      most_segments_(std::max<std::uint64_t>(most_pages / segment_pages_, 2)),
      tenants_(std::move(tenants)) {
  if (tenants_) take_up_all();
  if (segments_.empty()) cleared_ = files_.clear_directory(directory_);
  tell_head();
}

Result<PageId> PageLog::append(Domain domain, ByteView page) {
  GODWIT_ASSERT(page.size() == kPage_bytes && domain != 0 && domain <= UINT16_MAX);
  const std::uint64_t index = next_ - 1;
  if (segments_.empty() || segments_.back().number != index / segment_pages_) {
    if (auto opened = open_segment(index / segment_pages_); !opened) return pass(opened);
  }
  if (tail_.empty()) tail_.resize(kTail_pages * kPage_bytes);
  std::copy(page.begin(), page.end(), tail_slot(next_).begin());
  if ((index + 1) % kGroup_pages == 0) {
    if (auto written = write_group(); !written) return pass(written);
  }
  auto& runs = segments_.back().runs;
  if (runs.empty() || runs.back().domain != domain) {
    runs.push_back({static_cast<std::uint16_t>(index % segment_pages_), static_cast<std::uint16_t>(domain)});
  }
  if (tenants_ && (index + 1) % kGroup_pages == 0) tell_group(index % segment_pages_ + 1 - kGroup_pages);
  return next_++;
}

Result<> PageLog::open_segment(std::uint64_t number) {
  if (!cleared_) {
    cleared_ = files_.clear_directory(directory_);
    if (!cleared_) return cleared_;
  }
  while (segments_.size() >= most_segments_) {
    if (!evict_oldest()) {
      return fail(Errc::exhausted, "keep a page in {}: all {} segments are pinned", directory_, segments_.size());
    }
  }
  auto path = path_of(number);
  auto file = files_.create(path);
  if (!file) return pass(file);
  segments_.push_back({number, std::move(path), std::move(*file), {}, nullptr, 0, {}});
  tell_segment();
  return {};
}

// False where there is none but the newest, or it is pinned.
bool PageLog::evict_oldest() {
  if (segments_.empty()) return false;
  const PageId after = (segments_.front().number + 1) * segment_pages_ + 1;
  if (after > next_ || (!pins_.empty() && *pins_.begin() < after)) return false;
  (void)files_.remove(segments_.front().path);  // one that stays is removed with the directory's next clearing
  if (tenants_) (void)files_.remove(segments_.front().path + ".index");
  segments_.pop_front();
  first_ = after;
  tell_head();
  return true;
}

// The segment of the oldest pin and those behind it stay; the others are given up one by one.
std::uint64_t PageLog::room_pages() const {
  if (pins_.empty()) return most_segments_ * segment_pages_;
  const auto first_kept = (std::min(*pins_.begin(), next_) - 1) / segment_pages_;
  return (first_kept + most_segments_) * segment_pages_ - (next_ - 1);
}

// The group that ends with the page next_, which is in the tail already.
Result<> PageLog::write_group() {
  const PageId group = next_ + 1 - kGroup_pages;
  const auto pages = ByteView(tail_slot(group).data(), kGroup_pages * kPage_bytes);
  return write_to_disk((group - 1) % segment_pages_, pages);
}

// A disk that is full before the store's own limit takes the oldest too.
Result<> PageLog::write_to_disk(std::uint64_t place, ByteView pages) {
  for (;;) {
    auto written = segments_.back().file->write_at(place * kPage_bytes, pages);
    if (written || written.error().code != Errc::exhausted || !evict_oldest()) return written;
  }
}

ByteSpan PageLog::tail_slot(PageId id) const {
  return ByteSpan(tail_).subspan((id - 1) % kTail_pages * kPage_bytes, kPage_bytes);
}

std::string PageLog::path_of(std::uint64_t segment) const { return fmt::format("{}/segment-{}", directory_, segment); }

const PageLog::Segment& PageLog::segment_of(PageId id) const {
  return segments_[(id - 1) / segment_pages_ - segments_.front().number];
}

Domain PageLog::domain_of(PageId id) const {
  if (id < first_ || id >= next_) return 0;
  return domain_at(segment_of(id), (id - 1) % segment_pages_);
}

Domain PageLog::domain_at(const Segment& segment, std::uint64_t place) {
  const auto& runs = segment.runs;
  const auto after = std::upper_bound(runs.begin(), runs.end(), place,
                                      [](std::uint64_t wanted, const Run& run) { return wanted < run.place; });
  return std::prev(after)->domain;
}

Result<ByteView> PageLog::view(PageId id) const {
  if (id < first_ || id >= next_) return fail(Errc::not_found, "page {} of {}: not held", id, directory_);
  // Not the whole ring: a page that could not be written lies in the slot of the oldest.
  if (id >= tail_first_ && next_ - id < kTail_pages) return ByteView(tail_slot(id));
  if (id >= ahead_first_ && id < ahead_first_ + ahead_count_) {
    last_read_ = id;
    return ByteView(ahead_).subspan((id - ahead_first_) * kPage_bytes, kPage_bytes);
  }
  return view_on_disk(id);
}

Result<ByteView> PageLog::view_on_disk(PageId id) const {
  const auto place = (id - 1) % segment_pages_;
  std::uint64_t count = 1;
  if (id == last_read_ + 1) count = std::min(kAhead_pages, segment_pages_ - place);
  if (id >= tail_first_) {
    count = std::min(count, next_ - kTail_pages - id + 1);  // what is older than the tail is written
  } else {
    count = std::min(count, kGroup_pages - place % kGroup_pages);  // and of what was taken up, whole groups
  }
  ahead_.resize(kAhead_pages * kPage_bytes);
  ahead_count_ = 0;
  auto read = segment_of(id).file->read_at(place * kPage_bytes, ByteSpan(ahead_).first(count * kPage_bytes));
  if (!read) return pass(read);
  ahead_first_ = id;
  ahead_count_ = count;
  last_read_ = id;
  return ByteView(ahead_).first(kPage_bytes);
}

std::uint64_t PageLog::disk_bytes() const {
  const auto written = (next_ - 1) / kGroup_pages * kGroup_pages;
  return (written - std::min(written, first_ - 1)) * kPage_bytes;
}

std::uint64_t PageLog::buffer_bytes() const { return tail_.capacity() + ahead_.capacity(); }

std::uint64_t PageLog::index_bytes() const {
  std::uint64_t bytes = verification_.groups.capacity() * sizeof(PageGroup);
  for (const Segment& each : segments_) bytes += sizeof(Segment) + each.runs.capacity() * sizeof(Run);
  return bytes;
}

}  // namespace godwit::content
