// An image of one file in a simulated host's page files, of which pieces come one by one.
#pragma once

#include "image/pieces.h"
#include "sim/page_files.h"

#include <memory>
#include <string>
#include <vector>

namespace godwit::testing {

// Byte `at` of the file. Differs from piece to piece and from block to block.
inline std::byte content_at(std::uint64_t at) {
  return static_cast<std::byte>((at / 512 * 2654435761U >> 7U) + at % 251 + 1);
}
inline ByteVector content_of(std::uint64_t offset, std::uint64_t bytes) {
  ByteVector out(bytes);
  for (std::uint64_t i = 0; i < bytes; ++i) out[i] = content_at(offset + i);
  return out;
}

// Not a host's repository: nothing is checked.
class SparsePieces final : public image::Pieces {
 public:
  SparsePieces(sys::PageFiles& files, const std::string& path, std::uint64_t bytes)
      : bytes_(bytes), here_((bytes + image::kPiece_bytes - 1) / image::kPiece_bytes) {
    auto made = files.create(path);
    if (!made) std::abort();
    file_ = std::move(*made);
    const ByteVector end(1);
    if (!file_->write_at(bytes - 1, end)) std::abort();
  }

  [[nodiscard]] std::uint64_t count() const override { return here_.size(); }
  [[nodiscard]] bool has_list() const override { return true; }
  [[nodiscard]] Result<> set_list(ByteView) override { return {}; }
  [[nodiscard]] const image::PieceDigest& digest(std::uint64_t) const override { return digest_; }
  [[nodiscard]] bool has(std::uint64_t piece) const override { return here_[piece]; }
  [[nodiscard]] bool is_zero(std::uint64_t) const override { return false; }
  [[nodiscard]] Result<> read(std::uint64_t, ByteSpan) override { return fail(Errc::unsupported, "nobody reads here"); }
  [[nodiscard]] Result<> put(std::uint64_t piece, ByteView bytes) override {
    const auto at = piece * image::kPiece_bytes;
    const auto written = file_->write_at(at, bytes.first(std::min<std::uint64_t>(bytes.size(), bytes_ - at)));
    if (written) here_[piece] = true;
    return written;
  }

 private:
  std::uint64_t bytes_;
  std::vector<bool> here_;
  std::unique_ptr<sys::PageFile> file_;
  image::PieceDigest digest_{};
};

}  // namespace godwit::testing
