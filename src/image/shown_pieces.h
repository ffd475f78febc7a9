// An image as one who brings it puts its pieces: what is here already is compared, and not taken on trust.
#pragma once

#include "image/stored_image.h"

#include <vector>

namespace godwit::image {

// In front of a stored image. One strand.
class ShownPieces final : public Pieces {
 public:
  ShownPieces(StoredImage& image, PieceSet& shown) : image_(image), shown_(shown) {}

  [[nodiscard]] std::uint64_t count() const override { return image_.count(); }
  [[nodiscard]] bool has_list() const override { return image_.has_list(); }
  [[nodiscard]] Result<> set_list(ByteView list) override { return image_.set_list(list); }
  [[nodiscard]] const PieceDigest& digest(std::uint64_t piece) const override { return image_.digest(piece); }
  [[nodiscard]] bool has(std::uint64_t piece) const override { return shown_.contains(piece) && image_.has(piece); }
  [[nodiscard]] bool is_zero(std::uint64_t piece) const override { return image_.is_zero(piece); }
  [[nodiscard]] Result<> read(std::uint64_t piece, ByteSpan into) override { return image_.read(piece, into); }
  [[nodiscard]] Result<> put(std::uint64_t piece, ByteView bytes) override {
    if (!image_.has(piece)) {
      if (auto done = image_.put(piece, bytes); !done) return done;
    } else if (digester_.digest(bytes) != image_.digest(piece)) {
      return fail(Errc::not_authentic, "image {}: piece {} has another digest", ami_of(image_.id()), piece);
    }
    if (shown_.contains(piece)) return {};
    shown_.add(piece);
    fresh_.push_back(piece);
    return {};
  }

  // That were not shown before.
  [[nodiscard]] const std::vector<std::uint64_t>& fresh() const { return fresh_; }

 private:
  StoredImage& image_;
  PieceSet& shown_;
  PieceDigester digester_;
  std::vector<std::uint64_t> fresh_;
};

}  // namespace godwit::image
