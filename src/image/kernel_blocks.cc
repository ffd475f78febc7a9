#include "image/kernel_blocks.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <array>

namespace godwit::image {
namespace {

// Linux's Documentation/arch/x86/boot.rst: offsets into the file, little-endian.
constexpr std::size_t kHeader_bytes = 0x250;
constexpr std::size_t kSetupSectorsAt = 0x1F1;
constexpr std::size_t kMagicAt = 0x202;
constexpr std::size_t kVersionAt = 0x206;
constexpr std::size_t kPayloadOffsetAt = 0x248;
constexpr std::size_t kPayloadLengthAt = 0x24C;
constexpr std::uint32_t kMagic = 0x53726448;  // "HdrS"
constexpr std::uint32_t kLeastVersion = 0x0208;
constexpr std::uint32_t kSector_bytes = 512;
constexpr std::uint32_t kUsualSetupSectors = 4;
constexpr std::uint64_t kPackedLimit_bytes = 64UL * 1024 * 1024;
constexpr std::uint64_t kUnpackedLimit_bytes = 512UL * 1024 * 1024;
constexpr std::size_t kLengthSize = 4;  // what it unpacks to, behind the payload

std::uint32_t load_le(ByteView bytes, std::size_t at, std::size_t size) {
  std::uint32_t value = 0;
  for (std::size_t i = size; i-- > 0;) value = value << 8U | std::to_integer<std::uint32_t>(bytes[at + i]);
  return value;
}

std::unexpected<Error> not_one(const std::string& path, std::string_view what) {
  return fail(Errc::unsupported, "{}: not a kernel that can be unpacked: {}", path, what);
}

struct Payload {
  ByteVector packed;
  std::uint64_t unpacked_bytes{0};
};

Result<Payload> read_payload(const sys::PageFile& file, const std::string& path) {
  std::array<std::byte, kHeader_bytes> header{};
  if (file.size() < header.size()) return not_one(path, "too short");
  const auto read = file.read_at(0, header);
  if (!read) return pass(read);
  const bool boots = load_le(header, kMagicAt, 4) == kMagic && load_le(header, kVersionAt, 2) >= kLeastVersion;
  if (!boots) return not_one(path, "no bzImage");
  auto sectors = load_le(header, kSetupSectorsAt, 1);
  if (sectors == 0) sectors = kUsualSetupSectors;
  const std::uint64_t begin = (std::uint64_t{sectors} + 1) * kSector_bytes + load_le(header, kPayloadOffsetAt, 4);
  const std::uint64_t size = load_le(header, kPayloadLengthAt, 4);
  if (size <= kLengthSize || size > kPackedLimit_bytes || begin > file.size() || size > file.size() - begin) {
    return not_one(path, "a payload outside of the file, or of more than 64 MiB");
  }
  Payload payload;
  payload.packed.resize(size);
  const auto filled = file.read_at(begin, payload.packed);
  if (!filled) return pass(filled);
  payload.unpacked_bytes = load_le(payload.packed, size - kLengthSize, kLengthSize);
  payload.packed.resize(size - kLengthSize);
  if (payload.unpacked_bytes > kUnpackedLimit_bytes) return not_one(path, "more than 512 MiB");
  return payload;
}

class Unpacker {
 public:
  explicit Unpacker(ByteVector packed) : packed_(std::move(packed)) {}

  // Errors: unsupported.
  Result<> open(const std::string& path) {
    auto* const archive = archive_.get();
    if (archive == nullptr) return fail(Errc::exhausted, "libarchive: no memory");
    archive_read_support_filter_gzip(archive);
    archive_read_support_filter_lz4(archive);
    archive_read_support_filter_xz(archive);
    archive_read_support_filter_zstd(archive);
    archive_read_support_format_raw(archive);
    archive_entry* entry = nullptr;
    const bool opened = archive_read_open_memory(archive, packed_.data(), packed_.size()) == ARCHIVE_OK &&
                        archive_read_next_header(archive, &entry) == ARCHIVE_OK && archive_filter_count(archive) > 1;
    if (!opened) return not_one(path, "packed in a way that is not known here");
    return {};
  }
  // As much as there is, up to `into`; 0: the end, or broken.
  std::size_t next(ByteSpan into) {
    const auto size = archive_read_data(archive_.get(), into.data(), into.size());
    return size > 0 ? static_cast<std::size_t>(size) : 0;
  }

 private:
  ByteVector packed_;
  std::unique_ptr<archive, int (*)(archive*)> archive_{archive_read_new(), &archive_read_free};
};

class KernelBlocks final : public content::Blocks {
 public:
  KernelBlocks(std::unique_ptr<Unpacker> unpacker, std::unique_ptr<sys::PageFile> unpacked, std::uint64_t size_bytes)
      : unpacker_(std::move(unpacker)), unpacked_(std::move(unpacked)), count_(size_bytes / kPage_bytes) {}

  std::uint64_t count() const override { return count_; }
  bool is_hole(std::uint64_t) const override { return false; }
  Result<> read(std::uint64_t block, ByteSpan into) const override {
    const auto blocks = into.size() / kPage_bytes;
    if (block > count_ || blocks > count_ - block) return fail(Errc::invalid_argument, "the kernel has no such block");
    const auto end = (block + blocks) * kPage_bytes;
    const auto done = unpack_to(end);
    if (!done) return done;
    return unpacked_->read_at(block * kPage_bytes, into);
  }

 private:
  Result<> unpack_to(std::uint64_t end) const {
    std::array<std::byte, 64UL * 1024> buffer{};
    while (done_bytes_ < end) {
      const auto size = unpacker_ ? unpacker_->next(buffer) : 0;
      if (size == 0 || done_bytes_ > count_ * kPage_bytes) {
        unpacker_.reset();
        return fail(Errc::unsupported, "the kernel's payload is broken, or ends before it should");
      }
      const auto written = unpacked_->write_at(done_bytes_, ByteView(buffer).first(size));
      if (!written) {
        unpacker_.reset();  // what is lost can't be unpacked again
        return written;
      }
      done_bytes_ += size;
    }
    if (done_bytes_ >= count_ * kPage_bytes) unpacker_.reset();
    return {};
  }

  mutable std::unique_ptr<Unpacker> unpacker_;  // nullptr: nothing more comes
  mutable std::uint64_t done_bytes_{0};
  std::unique_ptr<sys::PageFile> unpacked_;
  std::uint64_t count_;
};

}  // namespace

Result<std::unique_ptr<content::Blocks>> open_kernel_blocks(sys::PageFiles& files, const std::string& kernel_path,
                                                            const std::string& unpacked_path) {
  const auto file = files.open(kernel_path);
  if (!file) return pass(file);
  auto payload = read_payload(**file, kernel_path);
  if (!payload) return pass(payload);
  auto unpacker = std::make_unique<Unpacker>(std::move(payload->packed));
  const auto opened = unpacker->open(kernel_path);
  if (!opened) return pass(opened);
  auto unpacked = files.create(unpacked_path);
  if (!unpacked) return pass(unpacked);
  (void)files.remove(unpacked_path);  // it goes with the answer; a name that stays is replaced by the next
  return std::make_unique<KernelBlocks>(std::move(unpacker), std::move(*unpacked), payload->unpacked_bytes);
}

}  // namespace godwit::image
