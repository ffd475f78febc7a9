// A made-up image of any size, whole, that holds something only here and there: a disk of which every so manieth piece
// is drawn, and the rest zeros. Memory: 32 bytes a piece.
#pragma once

#include "image/manifest.h"

#include <random>
#include <string>
#include <vector>

namespace godwit::testing {

class HollowImage final : public image::Pieces {
 public:
  // Pieces 0, `every`, 2 * `every`, … are drawn from their number.
  HollowImage(std::uint64_t pieces, std::uint64_t every)
      : every_(every), digests_(pieces, image::zero_piece()), bytes_(pieces * image::kPiece_bytes) {
    image::PieceDigester digester;
    ByteVector piece(image::kPiece_bytes);
    for (std::uint64_t number = 0; number < pieces; number += every) {
      fill(number, piece);
      digests_[number] = digester.digest(piece);
    }
    image::Manifest manifest;
    manifest.files.push_back({image::Role::disk, bytes_, to_hex(image::root_of(bytes_, list()))});
    text_ = image::print_manifest(manifest);
  }

  [[nodiscard]] const std::string& manifest() const { return text_; }
  [[nodiscard]] image::ImageId id() const { return image::id_of(text_); }
  [[nodiscard]] ByteView list() const { return std::as_bytes(std::span(digests_)); }
  [[nodiscard]] std::uint64_t solid() const { return (count() + every_ - 1) / every_; }

  [[nodiscard]] std::uint64_t count() const override { return digests_.size(); }
  [[nodiscard]] bool has_list() const override { return true; }
  [[nodiscard]] Result<> set_list(ByteView) override { return {}; }
  [[nodiscard]] const image::PieceDigest& digest(std::uint64_t piece) const override { return digests_.at(piece); }
  [[nodiscard]] bool has(std::uint64_t) const override { return true; }
  [[nodiscard]] bool is_zero(std::uint64_t piece) const override { return piece % every_ != 0; }
  [[nodiscard]] Result<> read(std::uint64_t piece, ByteSpan into) override {
    fill(piece, into);
    return {};
  }
  [[nodiscard]] Result<> put(std::uint64_t, ByteView) override { return fail(Errc::unsupported, "it is whole"); }

 private:
  void fill(std::uint64_t piece, ByteSpan into) const {
    std::ranges::fill(into, std::byte{0});
    if (piece % every_ != 0) return;
    std::mt19937_64 random(piece + 1);
    for (std::size_t at = 0; at < into.size(); at += 8) store_be64(into.subspan(at, 8), random());
  }

  std::uint64_t every_;
  std::vector<image::PieceDigest> digests_;
  std::uint64_t bytes_;
  std::string text_;
};

}  // namespace godwit::testing
