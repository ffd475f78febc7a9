#include "image/qcow2_header.h"

#include "base/page.h"

namespace godwit::image {
namespace {

constexpr std::uint32_t kMagic = 0x514649fb;  // "QFI\xfb"
constexpr std::size_t kVersion2Bytes = 72;
constexpr std::uint32_t kLeastClusterBits = 12;  // smaller clusters than a block exist, and nobody uses them
constexpr std::uint32_t kMostClusterBits = 21;   // QEMU's limit
constexpr std::uint64_t kMostDisk_bytes = 64ULL << 40U;
constexpr std::uint64_t kMostL1Entries = 512ULL * 1024;  // 4 MiB of memory: 256 TiB with clusters of 64 KiB

// Incompatible features. The first means that refcounts may be wrong, the fourth names how compressed clusters are: who
// only reads what isn't compressed needs neither.
constexpr std::uint64_t kDirty = 1;
constexpr std::uint64_t kCorrupt = 2;
constexpr std::uint64_t kExternalData = 4;
constexpr std::uint64_t kCompressionType = 8;
constexpr std::uint64_t kExtendedL2 = 16;

Result<> check_features(ByteView bytes) {
  const auto incompatible = load_be64(bytes.subspan(72));
  if ((incompatible & kCorrupt) != 0) return fail(Errc::invalid_argument, "marked corrupt (qemu-img check -r all)");
  if ((incompatible & kExternalData) != 0) return fail(Errc::unsupported, "its data is in another file");
  if ((incompatible & kExtendedL2) != 0) return fail(Errc::unsupported, "extended L2 entries");
  if ((incompatible & ~(kDirty | kCompressionType)) != 0) {
    return fail(Errc::unsupported, "incompatible features {:#x}", incompatible);
  }
  const auto header_bytes = load_be32(bytes.subspan(100));
  if (header_bytes < kQcow2HeaderBytes || header_bytes % 8 != 0) {
    return fail(Errc::invalid_argument, "a header of {} bytes", header_bytes);
  }
  return {};
}

Result<> check_l1(const Qcow2Header& header, std::uint64_t entries_there, std::uint64_t file_bytes) {
  const auto cluster = 1ULL << header.cluster_bits;
  if (header.disk_bytes > kMostDisk_bytes || header.l1_entries > kMostL1Entries) {
    return fail(Errc::unsupported, "a disk of {} bytes in clusters of {}", header.disk_bytes, cluster);
  }
  if (entries_there < header.l1_entries) {
    return fail(Errc::invalid_argument, "an L1 table of {} entries, where the disk needs {}", entries_there,
                header.l1_entries);
  }
  if (header.l1_offset % cluster != 0 || header.l1_offset > file_bytes ||
      header.l1_entries * 8 > file_bytes - header.l1_offset) {
    return fail(Errc::invalid_argument, "an L1 table at {}, in a file of {} bytes", header.l1_offset, file_bytes);
  }
  return {};
}

}  // namespace

Result<Qcow2Header> read_qcow2_header(ByteView bytes, std::uint64_t file_bytes, BackingFile backing) {
  if (bytes.size() < kVersion2Bytes || load_be32(bytes) != kMagic) return fail(Errc::invalid_argument, "no qcow2");
  Qcow2Header header;
  header.version = load_be32(bytes.subspan(4));
  if (header.version != 2 && header.version != 3) return fail(Errc::unsupported, "version {}", header.version);
  if (header.version == 3) {
    if (bytes.size() < kQcow2HeaderBytes) return fail(Errc::invalid_argument, "the file ends in its header");
    if (auto checked = check_features(bytes); !checked) return pass(checked);
  }
  if (backing == BackingFile::refused && load_be64(bytes.subspan(8)) != 0)
    return fail(Errc::unsupported, "it has a backing file");
  header.cluster_bits = load_be32(bytes.subspan(20));
  if (header.cluster_bits < kLeastClusterBits || header.cluster_bits > kMostClusterBits) {
    return fail(Errc::unsupported, "clusters of 2^{} bytes (2^{} to 2^{})", header.cluster_bits, kLeastClusterBits,
                kMostClusterBits);
  }
  header.disk_bytes = load_be64(bytes.subspan(24));
  if (load_be32(bytes.subspan(32)) != 0) return fail(Errc::unsupported, "encrypted");
  header.l1_offset = load_be64(bytes.subspan(40));
  const auto entry_bits =
      header.cluster_bits + header.cluster_bits - 3;  // an L2 table is one cluster of 8-byte entries
  header.l1_entries =
      (header.disk_bytes >> entry_bits) + ((header.disk_bytes & ((1ULL << entry_bits) - 1)) != 0 ? 1 : 0);
  if (auto checked = check_l1(header, load_be32(bytes.subspan(36)), file_bytes); !checked) return pass(checked);
  return header;
}

}  // namespace godwit::image
