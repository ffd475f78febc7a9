#include "image/qcow2_blocks.h"

#include "image/qcow2_header.h"

#include <algorithm>
#include <array>
#include <vector>

namespace godwit::image {
namespace {

// What both formats check of a read: whole blocks that are there.
Result<> check_range(std::uint64_t block, std::size_t size_bytes, std::uint64_t count) {
  const auto wanted = size_bytes / kPage_bytes;
  if (size_bytes % kPage_bytes != 0 || block > count || wanted > count - block) {
    return fail(Errc::invalid_argument, "read {} bytes at block {}: the image has {} blocks", size_bytes, block, count);
  }
  return {};
}

class RawBlocks final : public content::Blocks {
 public:
  explicit RawBlocks(std::unique_ptr<sys::PageFile> file)
      : file_(std::move(file)), count_(file_->size() / kPage_bytes) {}

  std::uint64_t count() const override { return count_; }
  Result<> read(std::uint64_t block, ByteSpan into) const override {
    if (auto checked = check_range(block, into.size(), count_); !checked) return checked;
    return file_->read_at(block * kPage_bytes, into);
  }
  bool is_hole(std::uint64_t) const override { return false; }  // unknown: read() gives the zeros

 private:
  std::unique_ptr<sys::PageFile> file_;
  std::uint64_t count_;
};

constexpr std::uint64_t kOffsetBits = 0x00fffffffffffe00ULL;  // of an L1 or L2 entry
constexpr std::uint64_t kCompressed = 1ULL << 62U;
constexpr std::uint64_t kZero = 1;

class Qcow2Blocks final : public OverlayBlocks {
 public:
  Qcow2Blocks(std::unique_ptr<sys::PageFile> file, Qcow2Header header, std::vector<std::uint64_t> l1)
      : file_(std::move(file)), header_(header), l1_(std::move(l1)), file_bytes_(file_->size()) {}

  std::uint64_t count() const override { return header_.disk_bytes / kPage_bytes; }
  Result<> read(std::uint64_t block, ByteSpan into) const override;
  bool is_hole(std::uint64_t block) const override;
  Result<bool> has(std::uint64_t block) const override;

 private:
  // A piece of an L2 table, as the file has it.
  struct Slice {
    std::uint64_t offset{0};  // in the file; 0: none
    std::array<std::byte, kPage_bytes> entries;
  };
  static constexpr std::size_t kSlices = 64;  // 256 KiB; each tells of 32 MiB of disk, with clusters of 64 KiB

  [[nodiscard]] std::uint64_t cluster_bytes() const { return 1ULL << header_.cluster_bits; }
  // Of the entry of a cluster that is not compressed.
  [[nodiscard]] bool is_zero(std::uint64_t entry) const {
    return (entry & kOffsetBits) == 0 || (header_.version == 3 && (entry & kZero) != 0);
  }
  [[nodiscard]] Result<std::uint64_t> entry_of(std::uint64_t cluster) const;
  [[nodiscard]] Result<> read_in_cluster(std::uint64_t position, ByteSpan into) const;

  std::unique_ptr<sys::PageFile> file_;
  Qcow2Header header_;
  std::vector<std::uint64_t> l1_;
  std::uint64_t file_bytes_;
  mutable std::vector<Slice> slices_ = std::vector<Slice>(kSlices);
};

// The L2 entry of a cluster; 0 where there is no L2 table: nothing of it was ever written.
Result<std::uint64_t> Qcow2Blocks::entry_of(std::uint64_t cluster) const {
  const auto entries_bits = header_.cluster_bits - 3;
  const auto table = l1_[cluster >> entries_bits] & kOffsetBits;
  if (table == 0) return 0;
  if (table % cluster_bytes() != 0) {
    return fail(Errc::io, "read cluster {}: its L2 table is at {}: not at a cluster (qemu-img check)", cluster, table);
  }
  const auto at = table + (cluster & ((1ULL << entries_bits) - 1)) * 8;
  const auto offset = at / kPage_bytes * kPage_bytes;
  auto& slice = slices_[offset / kPage_bytes % kSlices];
  if (slice.offset != offset) {
    slice.offset = 0;
    if (auto read = file_->read_at(offset, slice.entries); !read) return pass(read);
    slice.offset = offset;
  }
  return load_be64(ByteView(slice.entries).subspan(at - offset));
}

Result<> Qcow2Blocks::read(std::uint64_t block, ByteSpan into) const {
  if (auto checked = check_range(block, into.size(), count()); !checked) return checked;
  for (auto position = block * kPage_bytes; !into.empty();) {
    const auto size = std::min<std::uint64_t>(into.size(), cluster_bytes() - position % cluster_bytes());
    if (auto read = read_in_cluster(position, into.first(size)); !read) return read;
    into = into.subspan(size);
    position += size;
  }
  return {};
}

Result<> Qcow2Blocks::read_in_cluster(std::uint64_t position, ByteSpan into) const {
  const auto cluster = position >> header_.cluster_bits;
  const auto entry = entry_of(cluster);
  if (!entry) return pass(entry);
  if ((*entry & kCompressed) != 0) {
    return fail(Errc::unsupported, "read cluster {}: compressed (qemu-img convert, without -c)", cluster);
  }
  std::size_t there = 0;
  if (!is_zero(*entry)) {
    const auto offset = *entry & kOffsetBits;
    if (offset % cluster_bytes() != 0) {
      return fail(Errc::io, "read cluster {}: its data is at {}: not at a cluster (qemu-img check)", cluster, offset);
    }
    // The last cluster of a file need not be whole; QEMU reads zeros there.
    const auto from = offset + position % cluster_bytes();
    there = from < file_bytes_ ? std::min<std::uint64_t>(into.size(), file_bytes_ - from) : 0;
    if (auto read = file_->read_at(from, into.first(there)); !read) return read;
  }
  std::fill(into.begin() + static_cast<std::ptrdiff_t>(there), into.end(), std::byte{0});
  return {};
}

bool Qcow2Blocks::is_hole(std::uint64_t block) const {
  if (block >= count()) return false;
  const auto entry = entry_of(block * kPage_bytes >> header_.cluster_bits);
  return entry && (*entry & kCompressed) == 0 && is_zero(*entry);
}

Result<bool> Qcow2Blocks::has(std::uint64_t block) const {
  if (auto checked = check_range(block, kPage_bytes, count()); !checked) return pass(checked);
  const auto entry = entry_of(block * kPage_bytes >> header_.cluster_bits);
  if (!entry) return pass(entry);
  const bool says_zero = header_.version == 3 && (*entry & kZero) != 0;
  return (*entry & kCompressed) != 0 || (*entry & kOffsetBits) != 0 || says_zero;
}

Result<std::vector<std::uint64_t>> read_l1(const sys::PageFile& file, const Qcow2Header& header) {
  ByteVector bytes(header.l1_entries * 8);
  if (auto read = file.read_at(header.l1_offset, bytes); !read) return pass(read);
  std::vector<std::uint64_t> entries(header.l1_entries);
  for (std::size_t i = 0; i < entries.size(); ++i) entries[i] = load_be64(ByteView(bytes).subspan(i * 8));
  return entries;
}

Result<std::unique_ptr<OverlayBlocks>> open_qcow2(std::unique_ptr<sys::PageFile> file, BackingFile backing) {
  ByteVector start(std::min<std::uint64_t>(file->size(), kQcow2HeaderBytes));
  if (auto read = file->read_at(0, start); !read) return pass(read);
  const auto header = read_qcow2_header(start, file->size(), backing);
  if (!header) return pass(header);
  auto l1 = read_l1(*file, *header);
  if (!l1) return pass(l1);
  return std::make_unique<Qcow2Blocks>(std::move(file), *header, std::move(*l1));
}

}  // namespace

Result<std::unique_ptr<content::Blocks>> open_blocks(sys::PageFiles& files, const std::string& path,
                                                     const std::string& format) {
  if (format != "raw" && format != "qcow2") {
    return fail(Errc::invalid_argument, "open {}: format \"{}\" (raw or qcow2)", path, format);
  }
  auto file = files.open(path);
  if (!file) return pass(file);
  if (format == "raw") return std::make_unique<RawBlocks>(std::move(*file));
  auto blocks = open_qcow2(std::move(*file), BackingFile::refused);
  if (!blocks) return fail(blocks, fmt::format("read {} as qcow2", path));
  return std::move(*blocks);
}

Result<std::unique_ptr<OverlayBlocks>> open_overlay_blocks(sys::PageFiles& files, const std::string& path) {
  auto file = files.open(path);
  if (!file) return pass(file);
  auto blocks = open_qcow2(std::move(*file), BackingFile::passed_over);
  if (!blocks) return fail(blocks, fmt::format("read {} as qcow2", path));
  return blocks;
}

}  // namespace godwit::image
