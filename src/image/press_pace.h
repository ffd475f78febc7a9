// How hard pieces are compressed before they are sent: as hard as the CPU that is left repays, and not at all where the
// link takes them faster than the compressor gives them. Pure.
#pragma once

#include "base/time.h"

#include <array>
#include <cstddef>

namespace godwit::image {

class PressPace {
 public:
  static constexpr std::size_t kWindow_pieces = 16;  // are looked at together
  static constexpr Seconds kStay{10};                // at least, until the other of two ways is tried again
  static constexpr Seconds kStayMost{64};

  // Of one piece that is sent from where it lies plain: what compressing it took, and whether that was done at all.
  void note(TimePoint now, Nanos pressing, bool pressed);
  // zstd's; 0: pieces go as they are.
  [[nodiscard]] int level() const { return kLevels.at(step_); }

 private:
  static constexpr std::array kLevels{0, 1, 3, 6};
  static constexpr std::size_t kPlain = 0;
  static constexpr std::size_t kFastest = 1;
  void enter(std::size_t step);
  void look(TimePoint now, double span_s);
  void look_at_plain(TimePoint now, double piece_s);

  std::size_t step_{2};
  bool looked_{false};  // a window has begun
  TimePoint window_from_{};
  std::size_t pieces_{0};   // in this window
  std::size_t pressed_{0};  // of them
  Nanos pressing_{};
  bool is_fresh_{false};       // this window still has to do with the other way
  double fastest_piece_s_{0};  // what kFastest takes for a piece
  double packed_s_{0};         // that passed a piece, when packing was left
  TimePoint plain_since_{};
  TimePoint plain_after_{};  // plain is not tried before: it was slower
  Nanos stay_{kStay};
};

}  // namespace godwit::image
