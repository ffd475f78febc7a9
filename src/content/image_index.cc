#include "content/image_index.h"

#include "base/assert.h"
#include "base/zero.h"
#include "content/id_table.h"
#include "content/store.h"

#include <algorithm>
#include <cstring>

namespace godwit::content {
namespace {

constexpr std::uint64_t kAtOnce_blocks = 16;
constexpr std::uint64_t kMostBlocks = UINT32_MAX;  // 16 TiB: what lies behind is not found

std::uint64_t distance(std::uint64_t a, std::uint64_t b) { return a < b ? b - a : a - b; }

}  // namespace

struct ImageIndex::Impl {
  explicit Impl(const Blocks& of) : blocks(of), count(std::min(of.count(), kMostBlocks)) {}

  [[nodiscard]] Window all() const { return {0, count}; }
  void take(std::uint64_t block, ByteView content);
  [[nodiscard]] Result<> take_some(std::uint64_t blocks_wanted);
  [[nodiscard]] bool equals(std::uint64_t block, ByteView page);
  [[nodiscard]] const std::byte* read(std::uint64_t block);

  const Blocks& blocks;
  std::uint64_t count;
  std::uint64_t next{0};  // the first that advance() has not read
  IdTable<4> table;
  ByteVector ahead = ByteVector(kAtOnce_blocks * kPage_bytes);  // blocks that were read together
  std::uint64_t ahead_first{0};
  std::uint64_t ahead_count{0};
  std::uint64_t last_read{0};
};

ImageIndex::ImageIndex(const Blocks& blocks) : impl_(std::make_unique<Impl>(blocks)) {}
ImageIndex::~ImageIndex() = default;

Result<bool> ImageIndex::advance(std::uint64_t blocks) {
  for (std::uint64_t read = 0; read < blocks && impl_->next < impl_->count;) {
    if (impl_->blocks.is_hole(impl_->next)) {
      ++impl_->next;
      ++read;
      continue;
    }
    const auto before = impl_->next;
    if (auto taken = impl_->take_some(blocks - read); !taken) return pass(taken);
    read += impl_->next - before;
  }
  return impl_->next < impl_->count;
}

// From the block `next` on, which is none of a hole.
Result<> ImageIndex::Impl::take_some(std::uint64_t blocks_wanted) {
  const auto most = std::min({blocks_wanted, kAtOnce_blocks, count - next});
  std::uint64_t some = 1;
  while (some < most && !blocks.is_hole(next + some)) ++some;
  ahead_count = 0;
  const auto bytes = ByteSpan(ahead).first(some * kPage_bytes);
  if (blocks.read(next, bytes)) {
    ahead_first = next;
    ahead_count = some;
    for (std::uint64_t i = 0; i < some; ++i) take(next + i, bytes.subspan(i * kPage_bytes, kPage_bytes));
    next += some;
    return {};
  }
  // One of them can't be read: which, and is that its nature?
  const auto one = bytes.first(kPage_bytes);
  if (auto read = blocks.read(next, one)) {
    take(next, one);
  } else if (read.error().code != Errc::unsupported) {
    return read;
  }
  ++next;
  return {};
}

void ImageIndex::Impl::take(std::uint64_t block, ByteView content) {
  if (is_zero(content)) return;
  table.add(static_cast<std::uint32_t>(fingerprint_of(content) >> 32U), block, all());
}

const std::byte* ImageIndex::Impl::read(std::uint64_t block) {
  if (block < ahead_first || block >= ahead_first + ahead_count) {
    // What comes in order is read ahead, if no block among it spoils that.
    const bool in_order = block == last_read + 1;
    ahead_count = 0;
    std::uint64_t some = in_order ? std::clamp<std::uint64_t>(count - block, 1, kAtOnce_blocks) : 1;
    if (!blocks.read(block, ByteSpan(ahead).first(some * kPage_bytes))) {
      if (some == 1) return nullptr;
      some = 1;
      if (!blocks.read(block, ByteSpan(ahead).first(kPage_bytes))) return nullptr;
    }
    ahead_first = block;
    ahead_count = some;
  }
  last_read = block;
  return ahead.data() + (block - ahead_first) * kPage_bytes;
}

bool ImageIndex::Impl::equals(std::uint64_t block, ByteView page) {
  const auto* content = block < count ? read(block) : nullptr;
  return content != nullptr && std::memcmp(content, page.data(), kPage_bytes) == 0;
}

std::optional<std::uint64_t> ImageIndex::find(ByteView page, std::uint64_t fingerprint, std::uint64_t near) const {
  GODWIT_ASSERT(page.size() == kPage_bytes);
  auto found = impl_->table.find(static_cast<std::uint32_t>(fingerprint >> 32U), impl_->all());
  if (found.count == 0) return std::nullopt;
  // Content that is there so often that not every block of it is in the table: its neighbours are asked themselves.
  if (found.count == kMostCandidates && std::find(found.ids.begin(), found.ids.end(), near) == found.ids.end()) {
    for (const std::uint64_t block : {near, near + 1, near - 1}) {
      if (block < impl_->next && impl_->equals(block, page)) return block;
    }
  }
  for (auto& ids = found.ids; found.count > 0; --found.count) {
    auto* nearest = ids.data();
    for (std::size_t i = 1; i < found.count; ++i) {
      if (distance(ids[i], near) < distance(*nearest, near)) nearest = &ids[i];
    }
    if (impl_->equals(*nearest, page)) return *nearest;
    *nearest = ids[found.count - 1];
  }
  return std::nullopt;
}

std::uint64_t ImageIndex::bytes() const { return impl_->table.bytes() + impl_->ahead.capacity(); }

}  // namespace godwit::content
