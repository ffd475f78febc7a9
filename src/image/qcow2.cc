#include "image/qcow2.h"

#include "base/bytes.h"

namespace godwit::image {
namespace {

constexpr std::uint32_t kClusterBits = 16;
constexpr std::uint64_t kCluster = 1ULL << kClusterBits;
constexpr std::uint64_t kBytesPerL1Entry = kCluster * (kCluster / 8);  // one L2 table of 8-byte entries
constexpr std::uint32_t kHeaderBytes = 104;
constexpr std::uint32_t kExtensionBackingFormat = 0xE2792ACA;
constexpr std::size_t kBackingPathLimit = 1023;

std::uint64_t divide_up(std::uint64_t value, std::uint64_t by) { return (value + by - 1) / by; }

void append_text(ByteVector& out, std::string_view text) { append(out, as_bytes(text)); }

}  // namespace

Result<std::string> make_overlay(std::uint64_t size_bytes, std::string_view backing_path,
                                 std::string_view backing_format) {
  if (size_bytes == 0 || size_bytes % 512 != 0 || size_bytes > kOverlaySizeLimit) {
    return fail(Errc::invalid_argument, "overlay on {}: a size of {} bytes (a multiple of 512, at most 64 TiB)",
                backing_path, size_bytes);
  }
  if (!backing_path.starts_with('/') || backing_path.size() > kBackingPathLimit) {
    return fail(Errc::invalid_argument, "overlay on \"{}\": the path must be absolute, at most {} bytes", backing_path,
                kBackingPathLimit);
  }
  if (backing_format != "qcow2" && backing_format != "raw") {
    return fail(Errc::invalid_argument, "overlay on {}: format \"{}\" (qcow2 or raw)", backing_path, backing_format);
  }
  // Clusters: header, refcount table, refcount block, L1 table.
  const std::uint64_t l1_entries = divide_up(size_bytes, kBytesPerL1Entry);
  const std::uint64_t l1_clusters = divide_up(l1_entries * 8, kCluster);
  const std::uint64_t clusters = 3 + l1_clusters;
  const std::uint32_t extension_bytes = 8 + 8 + 8;  // (type, length), the format padded to 8, the end
  const std::uint32_t backing_offset = kHeaderBytes + extension_bytes;

  ByteVector out;
  out.reserve(clusters * kCluster);
  append_text(out, "QFI\xfb");
  append_be32(out, 3);  // version
  append_be64(out, backing_offset);
  append_be32(out, static_cast<std::uint32_t>(backing_path.size()));
  append_be32(out, kClusterBits);
  append_be64(out, size_bytes);
  append_be32(out, 0);  // no encryption
  append_be32(out, static_cast<std::uint32_t>(l1_entries));
  append_be64(out, 3 * kCluster);  // L1 table
  append_be64(out, 1 * kCluster);  // refcount table
  append_be32(out, 1);             //   of one cluster
  append_be32(out, 0);             // snapshots
  append_be64(out, 0);
  append_be64(out, 0);  // incompatible, compatible, autoclear features
  append_be64(out, 0);
  append_be64(out, 0);
  append_be32(out, 4);  // refcounts of 16 bits
  append_be32(out, kHeaderBytes);

  append_be32(out, kExtensionBackingFormat);
  append_be32(out, static_cast<std::uint32_t>(backing_format.size()));
  append_text(out, backing_format);
  out.resize(kHeaderBytes + 8 + 8);  // pads the format
  append_be64(out, 0);               // end of the extensions
  append_text(out, backing_path);

  out.resize(kCluster);
  append_be64(out, 2 * kCluster);  // the one refcount block
  out.resize(2 * kCluster);
  for (std::uint64_t i = 0; i < clusters; ++i) append_be16(out, 1);
  out.resize(clusters * kCluster);  // the L1 table is empty: everything comes from the backing file
  return std::string(as_text(out));
}

}  // namespace godwit::image
