// What a parcel is compressed against beside itself: blocks that sender and receiver both have, said as runs of them in
// images that both have. Pure. Format: docs/formats/parcel.md.
#pragma once

#include "image/manifest.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace godwit::image {

inline constexpr std::size_t kPrefixBlocks = 1024;  // 4 MiB
inline constexpr std::size_t kPrefixRuns = 1024;
inline constexpr std::size_t kPrefixImages = 4;  // beside the parcel's own

struct PrefixRun {
  std::uint8_t image{0};    // 0: the parcel's own, of which this piece has come before; else one of `images`, from 1 on
  std::uint32_t block{0};   // the first
  std::uint16_t blocks{0};  // so many, behind each other in the image

  bool operator==(const PrefixRun&) const = default;
};

struct ParcelPrefix {
  std::vector<ImageId> images;
  std::vector<PrefixRun> runs;
  ByteVector bytes;  // of all blocks, in the order of the runs
};

// Of a sender: what these blocks, one behind the other, are best compressed against. No runs: nothing.
using ChoosePrefix = std::function<ParcelPrefix(ByteView blocks)>;

// Of a receiver: a block of an image, the parcel's own where `image` is empty, to `into` (kPage_bytes). False: it isn't
// here (any more), or not for who sent the parcel.
using ReadPrefix = std::function<bool(const ImageId& image, std::uint64_t block, ByteSpan into)>;

// Images and runs; not their bytes.
void append_prefix(ByteVector& out, const ParcelPrefix& prefix);
// Takes it from the beginning of `from`. Errors: protocol (it is none, or names more than a prefix may have).
[[nodiscard]] Result<ParcelPrefix> take_prefix(ByteView& from);
// Fills in the bytes. False: something of it isn't here.
[[nodiscard]] bool read_prefix(ParcelPrefix& prefix, const ReadPrefix& read);

}  // namespace godwit::image
