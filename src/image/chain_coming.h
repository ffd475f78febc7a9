// The piece of which parts come on a connection, as a share has it: what is here of it goes on to whom this host serves
// while the rest comes.
#pragma once

#include "image/chain_parts.h"
#include "image/chain_share.h"

namespace godwit::image::chain {

// Of one connection that pulls; for as long as that is read. When it ends, what came of a piece is forgotten.
class Coming {
 public:
  Coming(std::shared_ptr<Share> at, std::shared_ptr<Connection> to) : at_(std::move(at)), to_(std::move(to)) {}
  ~Coming() { drop(); }
  Coming(const Coming&) = delete;
  Coming& operator=(const Coming&) = delete;

  // A frame of type blocks. Errors: protocol, not_authentic.
  [[nodiscard]] Result<> begin(ByteView body);
  // A frame of type run, whose head has been read. The piece's frame when it is whole, else null. Errors: those of the
  // stream, protocol, not_authentic.
  [[nodiscard]] sys::Task<Result<std::shared_ptr<Frame>>> read_run(Head head);

 private:
  void drop();

  std::shared_ptr<Share> at_;
  std::shared_ptr<Connection> to_;
  std::shared_ptr<PartialPiece> piece_;
};

// A piece, some of which may still come, to one who is served. Ends without an error too where no more of it comes, or
// the other is served no more.
[[nodiscard]] sys::Task<Result<>> write_in_parts(std::shared_ptr<Share> at, std::shared_ptr<Connection> to,
                                                 std::shared_ptr<PartialPiece> piece);

}  // namespace godwit::image::chain
