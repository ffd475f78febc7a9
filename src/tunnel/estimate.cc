#include "tunnel/estimate.h"

#include "migrate/batch_encoder.h"
#include "wire/memory_stream.h"

#include <algorithm>

namespace godwit::tunnel {
namespace {

constexpr std::uint64_t kZeroRecord_bytes = 9;  // of QEMU's stream: the page's offset, and the zero
constexpr std::uint64_t kPageRecord_bytes = 8 + kPage_bytes;

}  // namespace

struct Estimator::Impl {
  content::Store& store;
  std::shared_ptr<migrate::Rapport> rapport;
  std::shared_ptr<content::Library::Volume> image;
};

struct Estimator::Guest {
  std::unique_ptr<migrate::Departure> departure;
  std::unique_ptr<migrate::BatchEncoder> encoder;
  std::uint64_t batches{0};
  Estimate estimate;
};

Estimator::Estimator(content::Store& store, std::shared_ptr<content::Library::Volume> image)
    : impl_(std::make_unique<Impl>(store, std::make_shared<migrate::Rapport>(), std::move(image))) {
  impl_->rapport->domain = store.domain("estimate");
}
Estimator::~Estimator() = default;

Estimator::Guest Estimator::begin() {
  Guest guest;
  guest.departure.reset(new migrate::Departure{impl_->store, impl_->rapport, impl_->image, {}, {}});
  guest.encoder = std::make_unique<migrate::BatchEncoder>(*guest.departure, ++impl_->rapport->last_connection);
  guest.encoder->may_refer_to_others(true);
  return guest;
}

Estimate Estimator::end(Guest& guest) {
  guest.estimate.savings = guest.departure->savings;
  return guest.estimate;
}

Result<> Estimator::encode(Guest& guest, ByteView bytes, const std::vector<wire::Stretch>& stretches) {
  auto left = stretches;
  while (!bytes.empty()) {
    const auto encoded = guest.encoder->encode(bytes, left, migrate::Effort{});
    if (!encoded) return pass(encoded);
    guest.encoder->acknowledged(guest.batches++);
    guest.estimate.crossing_bytes += encoded->frame.size();
    bytes = bytes.subspan(encoded->taken_bytes);
    left.erase(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(encoded->taken_stretches));
    if (encoded->taken_stretches == 0) left.front().size_bytes -= static_cast<std::uint32_t>(encoded->taken_bytes);
  }
  return {};
}

Result<Estimate> Estimator::memory(const sys::PageFile& process, const std::vector<hypervisor::MemoryRange>& ranges) {
  auto guest = begin();
  ByteVector buffer(migrate::kBatchBytes);
  for (const auto& range : ranges) {
    for (auto at = range.begin; at < range.end; at += buffer.size()) {
      const auto part = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), range.end - at));
      const auto read = process.read_at(at, part);
      if (!read) return pass(read);
      std::vector<wire::Stretch> pages;
      for (std::size_t page = 0; page < part.size(); page += kPage_bytes) {
        pages.push_back({wire::StretchKind::page, kPage_bytes, (at + page) / kPage_bytes});
      }
      const auto encoded = encode(guest, part, pages);
      if (!encoded) return pass(encoded);
      guest.estimate.looked_at_bytes += part.size();
    }
  }
  const auto zero_pages = guest.departure->savings.zero / kPage_bytes;
  const auto pages = guest.estimate.looked_at_bytes / kPage_bytes;
  guest.estimate.plain_bytes = zero_pages * kZeroRecord_bytes + (pages - zero_pages) * kPageRecord_bytes;
  return end(guest);
}

Result<Estimate> Estimator::stream(const sys::PageFile& file) {
  auto guest = begin();
  wire::MemoryStream reader;
  ByteVector buffer(migrate::kBatchBytes);
  const auto size = file.size();
  for (std::uint64_t at = 0; at < size; at += buffer.size()) {
    const auto part = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), size - at));
    const auto read = file.read_at(at, part);
    if (!read) return pass(read);
    std::vector<wire::Stretch> stretches;
    reader.feed(part, stretches);
    const auto encoded = encode(guest, part, stretches);
    if (!encoded) return pass(encoded);
  }
  guest.estimate.looked_at_bytes = guest.estimate.plain_bytes = size;
  return end(guest);
}

}  // namespace godwit::tunnel
