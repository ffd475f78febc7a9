// Pieces as they are sent: compressed where that saves something, and is no slower than the link. Once by whoever has a
// piece plain; whoever it comes to passes on what came. Format: docs/protocols/chain.md.
#pragma once

#include "base/bytes.h"
#include "image/press_pace.h"
#include "sys/clock.h"

#include <memory>

namespace godwit::image {

// One strand. Memory: about 1 MiB, from the first piece on.
class PiecePress {
 public:
  explicit PiecePress(sys::Clock& clock);
  ~PiecePress();
  PiecePress(const PiecePress&) = delete;
  PiecePress& operator=(const PiecePress&) = delete;

  // `piece`: kPiece_bytes. What is sent instead, kPackedLimit_bytes at most, until the next call; empty: the piece
  // itself. Cost: of one that won't get smaller a look at 4 KiB of it, else a millisecond at most.
  [[nodiscard]] ByteView press(ByteView piece);
  // The other way: kPiece_bytes, until the next call. Errors: protocol (it is no piece, compressed); exhausted.
  [[nodiscard]] Result<ByteView> expand(ByteView packed);

 private:
  [[nodiscard]] int level_for(ByteView piece);

  struct Work;
  sys::Clock& clock_;
  PressPace pace_;
  std::size_t unlikely_{0};    // pieces that didn't look as if they got smaller, since one was tried all the same
  bool looks_deceive_{false};  // the last such one did
  std::unique_ptr<Work> work_;
};

}  // namespace godwit::image
