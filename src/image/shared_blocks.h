// What both ends of a shipment have, so that what must travel can be compressed against it: images that are the sent
// one's siblings, and those pieces of its own that have come already.
#pragma once

#include "image/parcel.h"
#include "image/repository.h"
#include "image/similar_blocks.h"

#include <memory>
#include <optional>
#include <vector>

namespace godwit::image {

inline constexpr std::size_t kLookedAtImages = 32;  // of a repository, when siblings are looked for: those used last

// Of the images in `images` that are whole those with most pieces in common with that one, at most kPrefixImages, best
// first: as far as some pieces tell, the same in all. `images` and `image` outlive it. Others have the strand after
// each image that is looked at, for which its list is read.
[[nodiscard]] sys::Task<std::vector<Lease>> siblings_of(sys::Executor executor, Repository& images, ImageId id,
                                                        const Pieces& image);

// Pieces of siblings that are looked at for each that is to travel, at most: that takes as long as to compress it.
inline constexpr std::uint64_t kLookedFor = 8;
// Those, in turn, that can be looked at as a whole for so many pieces: where little travels, none.
[[nodiscard]] std::vector<Lease> worth_looking_at(std::vector<Lease> siblings, std::uint64_t travelling);

// One strand. Memory: `similar_bytes` and half as much, and 4 MiB for each prefix.
class SharedBlocks final {
 public:
  // `image` outlives it. `siblings`: whole, and at the other end too; at most kPrefixImages.
  SharedBlocks(Pieces& image, std::vector<Lease> siblings, std::size_t similar_bytes = kSimilarBlocks_bytes);

  // Looks at about `pieces` more of the siblings. False: there are no more, or they have half of the memory: the rest
  // is for what comes.
  [[nodiscard]] bool advance(std::uint64_t pieces);
  // The piece, of which those blocks were sent, is at the other end.
  void arrived(const ParcelPiece& piece);
  [[nodiscard]] bool empty() const { return similar_.bytes() == 0; }
  // Of all these what has most in common with `blocks`, in the order in which it lies in the images.
  [[nodiscard]] ParcelPrefix prefix_for(ByteView blocks);
  [[nodiscard]] ParcelPrefix prefix_for(std::span<const BlockSketch> blocks);
  // As ReadPrefix, of a parcel that was compressed against such a prefix.
  [[nodiscard]] bool read_block(const ImageId& image, std::uint64_t block, ByteSpan into);

 private:
  struct Source {
    Pieces* image;
    std::uint64_t first_block{0};  // over all
  };
  // A piece that was read.
  struct Piece {
    const Pieces* image{nullptr};
    std::uint64_t number{0};
    ByteVector bytes;
  };
  [[nodiscard]] bool index(const Source& of, std::uint64_t piece, std::uint16_t blocks);
  [[nodiscard]] const Source& source_of(std::uint64_t block) const;
  [[nodiscard]] std::optional<ByteView> read(const Source& of, std::uint64_t piece);
  void append_block(ParcelPrefix& prefix, std::uint64_t block);

  std::vector<Lease> siblings_;
  std::vector<Source> sources_;  // the image itself, then its siblings
  std::size_t source_{1};        // that is being looked at
  std::uint64_t piece_{0};
  bool full_{false};
  SimilarBlocks similar_;
  Piece last_;
};

}  // namespace godwit::image
