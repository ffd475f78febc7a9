#include "agent/guest_scan.h"

#include "base/zero.h"

#include <algorithm>

namespace godwit::agent {
namespace {

constexpr std::size_t kMostPages = (64UL << 30U) / kPage_bytes;
constexpr std::size_t kPagesARead = 64;

}  // namespace

GuestScan::GuestScan(std::unique_ptr<sys::PageFile> memory, std::vector<hypervisor::MemoryRange> ranges,
                     content::Store& store, content::Domain domain, content::Library& images, const std::string& image)
    : memory_(std::move(memory)),
      ranges_(std::move(ranges)),
      store_(store),
      domain_(domain),
      images_(images),
      image_(images.find(image)) {
  std::uint64_t pages = 0;
  for (const auto& each : ranges_) pages += (each.end - each.begin) / kPage_bytes;
  seen_.resize(std::min<std::uint64_t>(pages, kMostPages));
}

Result<std::size_t> GuestScan::advance(std::size_t pages) {
  if (image_ && images_.index_more(*image_, pages)) return 0;
  std::size_t kept = 0;
  ByteVector bytes;
  while (pages > 0 && !seen_.empty()) {
    if (range_ == ranges_.size() || number_ == seen_.size()) {
      range_ = 0;
      at_ = 0;
      number_ = 0;
    }
    const auto& range = ranges_[range_];
    const auto left = std::min<std::uint64_t>((range.end - range.begin - at_) / kPage_bytes, seen_.size() - number_);
    const auto count = std::min({pages, kPagesARead, static_cast<std::size_t>(left)});
    if (count == 0) {
      ++range_;
      at_ = 0;
      continue;
    }
    bytes.resize(count * kPage_bytes);
    const auto read = memory_->read_at(range.begin + at_, bytes);
    if (!read) return pass(read);
    for (std::size_t i = 0; i < count; ++i) {
      if (look(ByteView(bytes).subspan(i * kPage_bytes, kPage_bytes), seen_[number_ + i])) ++kept;
    }
    at_ += count * kPage_bytes;
    number_ += count;
    pages -= count;
  }
  return kept;
}

bool GuestScan::look(ByteView page, std::uint16_t& last) {
  if (is_zero(page)) {
    last = 0;
    return false;
  }
  const auto fingerprint = content::fingerprint_of(page);
  const auto now = static_cast<std::uint16_t>(fingerprint | 1U);
  if (std::exchange(last, now) != now) return false;
  if (image_ && image_->index->find(page, fingerprint, 0)) return false;
  if (store_.find(domain_, page, fingerprint) != 0) return false;
  return store_.append(domain_, page, fingerprint).has_value();
}

}  // namespace godwit::agent
