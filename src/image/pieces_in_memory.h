// An image in memory, for tests.
#pragma once

#include "base/page.h"
#include "crypto/digest.h"
#include "image/parcel.h"
#include "image/pieces.h"

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

namespace godwit::image {

inline PieceDigest digest_of_piece(ByteView piece) {
  crypto::Sha256 all;
  for (std::size_t at = 0; at < kPiece_bytes; at += kPage_bytes)
    all.update(crypto::sha256(piece.subspan(at, kPage_bytes)));
  return all.finish();
}

inline BlockTag tag_of(ByteView block) {
  const auto digest = crypto::sha256(block);
  BlockTag tag{};
  std::copy_n(digest.begin(), tag.size(), tag.begin());
  return tag;
}

// Of `size` bytes, whole words: the same for one seed. Bits that are not in `mask` are 0, so that it can be compressed.
inline ByteVector drawn_bytes(std::size_t size, std::uint64_t seed, std::uint64_t mask = ~std::uint64_t{0}) {
  std::mt19937_64 random(seed);
  ByteVector out(size);
  for (std::size_t at = 0; at < size; at += 8) store_be64(std::span(out).subspan(at), random() & mask);
  return out;
}

class PiecesInMemory final : public Pieces {
 public:
  // One that is whole: `bytes` of whole pieces.
  explicit PiecesInMemory(ByteVector bytes) : bytes_(std::move(bytes)), here_(bytes_.size() / kPiece_bytes, true) {
    for (std::size_t piece = 0; piece < here_.size(); ++piece) digests_.push_back(digest_of_piece(part(piece)));
  }
  // One of which nothing is here but the list.
  static PiecesInMemory empty_like(const PiecesInMemory& whole) {
    PiecesInMemory out{ByteVector(whole.bytes_.size())};
    out.digests_ = whole.digests_;
    for (std::size_t piece = 0; piece < out.here_.size(); ++piece) out.here_[piece] = out.is_zero(piece);
    return out;
  }

  [[nodiscard]] const ByteVector& bytes() const { return bytes_; }
  [[nodiscard]] ByteView block(std::uint64_t number) const {
    return ByteView(bytes_).subspan(number * kPage_bytes, kPage_bytes);
  }
  void spoil(std::uint64_t piece) { bytes_[piece * kPiece_bytes] ^= std::byte{1}; }
  void lose(std::uint64_t piece) { here_[piece] = false; }

  [[nodiscard]] std::uint64_t count() const override { return here_.size(); }
  [[nodiscard]] bool has_list() const override { return true; }
  [[nodiscard]] Result<> set_list(ByteView) override { return {}; }
  [[nodiscard]] const PieceDigest& digest(std::uint64_t piece) const override { return digests_.at(piece); }
  [[nodiscard]] bool has(std::uint64_t piece) const override { return here_.at(piece); }
  [[nodiscard]] bool is_zero(std::uint64_t piece) const override {
    static const auto zeros = digest_of_piece(ByteVector(kPiece_bytes));
    return digests_.at(piece) == zeros;
  }
  [[nodiscard]] Result<> read(std::uint64_t piece, ByteSpan into) override {
    if (!has(piece)) return fail(Errc::not_found, "piece {}", piece);
    std::ranges::copy(part(piece), into.begin());
    return {};
  }
  [[nodiscard]] Result<> put(std::uint64_t piece, ByteView bytes) override {
    if (digest_of_piece(bytes) != digest(piece)) return fail(Errc::not_authentic, "piece {}", piece);
    std::ranges::copy(bytes, bytes_.begin() + static_cast<std::ptrdiff_t>(piece * kPiece_bytes));
    here_[piece] = true;
    return {};
  }

 private:
  [[nodiscard]] ByteView part(std::uint64_t piece) const {
    return ByteView(bytes_).subspan(piece * kPiece_bytes, kPiece_bytes);
  }

  ByteVector bytes_;
  std::vector<bool> here_;
  std::vector<PieceDigest> digests_;
};

}  // namespace godwit::image
