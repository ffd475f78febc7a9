// What the server of a disk knows of its pieces: which are here, which reads wait for, which it has asked for, and in
// which order they were touched. Pure. Pieces are numbered from the first of the file.
#pragma once

#include "image/desk_messages.h"
#include "image/pieces.h"

#include <map>
#include <optional>
#include <set>

namespace godwit::image {

inline constexpr std::uint32_t kAhead_pieces = 4;  // asked for where twice as many were read in a row; less for less
inline constexpr std::size_t kMostAhead = 256;     // of them that are not here yet
inline constexpr std::size_t kBootOrderLimit = 16384;  // pieces: the first GiB that was read

class DiskPieces {
 public:
  // `bytes`: of the file, at most kPiecesLimit pieces. Nothing is here.
  explicit DiskPieces(std::uint64_t bytes);

  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] static desk::Range range_of(std::uint64_t offset, std::uint64_t length);
  [[nodiscard]] bool has(desk::Range range) const;

  // A read of these begins: what of them is missing is asked for until it is here, or the read leaves.
  void touch(desk::Range range);
  void leave(desk::Range range);

  // As the agent says. Errors: protocol (no such pieces).
  [[nodiscard]] Result<> take(const desk::Map& map);
  [[nodiscard]] Result<> take(const desk::Here& here);

  // To the agent: all is to be said again.
  void begin_saying();
  // What is to be said now, once; first what reads wait for.
  [[nodiscard]] std::optional<desk::Want> next_want();
  [[nodiscard]] std::optional<desk::Touched> next_touched();

  [[nodiscard]] const std::vector<std::uint32_t>& touched() const { return order_; }
  [[nodiscard]] std::size_t waited_for() const;  // pieces

 private:
  void set_here(std::uint32_t piece, bool here);
  void look_ahead(desk::Range range);

  std::uint32_t count_;
  std::vector<bool> here_;
  std::vector<bool> is_touched_;
  std::vector<std::uint32_t> order_;
  std::size_t said_touched_{0};
  std::map<std::uint32_t, std::size_t> reading_;  // by piece: the reads of it that are under way
  std::set<std::uint32_t> ahead_;                 // missing, and no read has come to it yet
  std::set<std::uint32_t> unsaid_;                // missing ones of reading_
  std::set<std::uint32_t> unsaid_ahead_;          // of ahead_
};

}  // namespace godwit::image
