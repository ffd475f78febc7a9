#include "image/parcel_prefix.h"

#include "base/page.h"
#include "image/piece_tree.h"

namespace godwit::image {
namespace {

constexpr std::size_t kHead_bytes = 1 + 2;
constexpr std::size_t kRun_bytes = 1 + 4 + 2;

std::unexpected<Error> no_prefix(std::string_view what) { return fail(Errc::protocol, "image parcel: {}", what); }

ByteView cut(ByteView& from, std::size_t size) {
  const auto taken = from.first(size);
  from = from.subspan(size);
  return taken;
}

}  // namespace

void append_prefix(ByteVector& out, const ParcelPrefix& prefix) {
  out.push_back(static_cast<std::byte>(prefix.images.size()));
  append_be16(out, static_cast<std::uint16_t>(prefix.runs.size()));
  for (const auto& image : prefix.images) append(out, from_hex(image).value());
  for (const auto& run : prefix.runs) {
    out.push_back(static_cast<std::byte>(run.image));
    append_be32(out, run.block);
    append_be16(out, run.blocks);
  }
}

Result<ParcelPrefix> take_prefix(ByteView& from) {
  if (from.size() < kHead_bytes) return no_prefix("cut off before its prefix");
  const auto images = std::to_integer<std::size_t>(cut(from, 1)[0]);
  const std::size_t runs = load_be16(cut(from, 2));
  if (images > kPrefixImages) return no_prefix("a prefix of too many images");
  if (runs == 0 || runs > kPrefixRuns) return no_prefix("a prefix of no runs, or of too many");
  if (from.size() < images * kDigest_bytes + runs * kRun_bytes) return no_prefix("cut off in its prefix");
  ParcelPrefix out;
  for (std::size_t i = 0; i < images; ++i) out.images.push_back(to_hex(cut(from, kDigest_bytes)));
  std::size_t blocks = 0;
  for (std::size_t i = 0; i < runs; ++i) {
    PrefixRun run;
    run.image = std::to_integer<std::uint8_t>(cut(from, 1)[0]);
    run.block = load_be32(cut(from, 4));
    run.blocks = load_be16(cut(from, 2));
    if (run.image > images) return no_prefix("a prefix of an image that it doesn't name");
    if (run.blocks == 0 || run.blocks > kPrefixBlocks - blocks) return no_prefix("a prefix of too many blocks");
    blocks += run.blocks;
    out.runs.push_back(run);
  }
  return out;
}

bool read_prefix(ParcelPrefix& prefix, const ReadPrefix& read) {
  std::size_t blocks = 0;
  for (const auto& run : prefix.runs) blocks += run.blocks;
  prefix.bytes.resize(blocks * kPage_bytes);
  static const ImageId kOwn;
  auto rest = ByteSpan(prefix.bytes);
  for (const auto& run : prefix.runs) {
    const auto& image = run.image == 0 ? kOwn : prefix.images[run.image - 1U];
    for (std::uint64_t i = 0; i < run.blocks; ++i) {
      if (!read(image, run.block + i, rest.first(kPage_bytes))) return false;
      rest = rest.subspan(kPage_bytes);
    }
  }
  return true;
}

}  // namespace godwit::image
