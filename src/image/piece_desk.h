// The agent's end towards the server of an instance's disk: hears which pieces of the image are wanted now, and tells
// it of each that is here. docs/protocols/disk-server.md.
#pragma once

#include "image/desk_messages.h"
#include "image/watched_pieces.h"
#include "sys/runtime.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace godwit::image {

inline constexpr Millis kWantAgain{500};
inline constexpr std::size_t kMostWanted = 1024;  // pieces that are asked for again; beyond, each is once

struct PieceDeskOptions {
  std::string socket;            // where the server dials
  unsigned uid{0};               // whose it is: the instance's
  std::uint64_t first_piece{0};  // of the file, in the image
  std::uint64_t bytes{0};        // of the file
};

// One of an instance, while its image is not whole. One strand.
class PieceDesk final {
 public:
  // Pieces of the image that are not here: when they are asked for, and as long as that is so each kWantAgain.
  using Want = std::function<void(std::vector<std::uint32_t> pieces, desk::Urgency urgency)>;

  PieceDesk(sys::Runtime runtime, PieceDeskOptions options, std::shared_ptr<WatchedPieces> pieces, Want want);
  ~PieceDesk();
  PieceDesk(const PieceDesk&) = delete;
  PieceDesk& operator=(const PieceDesk&) = delete;

  // Errors: conflict (another listens there), io.
  [[nodiscard]] Result<> start();
  [[nodiscard]] sys::Task<void> stop();

  // Every piece of the file is here.
  [[nodiscard]] bool whole() const;
  // Pieces of the file in the order in which they were first read: of the server that was there last.
  [[nodiscard]] const std::vector<std::uint32_t>& touched() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with its coroutines, which may unwind after it
};

}  // namespace godwit::image
