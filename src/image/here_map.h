// Which pieces of an image are on disk for good, as a file says it. Pure. Format: docs/formats/image.md.
//
// A bit is set in the file only when its piece is durable, so any mixture of an older and a newer state of the file is
// true as well: it is written in place, sector by sector, and each sector is checked by itself.
#pragma once

#include "base/bytes.h"

#include <array>
#include <cstdint>
#include <set>
#include <vector>

namespace godwit::image {

class HereMap {
 public:
  static constexpr std::size_t kSector_bytes = 512;
  static constexpr std::uint64_t kSectorPieces = (kSector_bytes - 8) * 8;  // 4,032: 252 MiB

  // Nothing is here.
  explicit HereMap(std::uint64_t pieces);
  // As `file` says. What can't be believed is not here; `damaged` counts such sectors, the head among them.
  [[nodiscard]] static HereMap parse(ByteView file, std::uint64_t pieces);
  [[nodiscard]] static std::uint64_t file_bytes(std::uint64_t pieces);

  [[nodiscard]] bool has(std::uint64_t piece) const { return bits_[piece]; }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t damaged() const { return damaged_; }
  void set(std::uint64_t piece, bool here);

  // What the file's sectors, that have changed since the last call, shall be; the first call gives the head too.
  struct Sector {
    std::uint64_t number{0};  // in the file
    std::array<std::byte, kSector_bytes> bytes{};
  };
  [[nodiscard]] std::vector<Sector> take_changed();
  // These could not be written: they count as changed again.
  void give_back(const std::vector<Sector>& sectors);
  [[nodiscard]] bool has_changed() const { return !changed_.empty(); }

 private:
  [[nodiscard]] Sector sector(std::uint64_t number) const;
  [[nodiscard]] Sector head() const;
  void take(ByteView sector, std::uint64_t number);

  std::vector<bool> bits_;
  std::uint64_t count_{0};
  std::uint64_t damaged_{0};
  std::set<std::uint64_t> changed_;
};

}  // namespace godwit::image
