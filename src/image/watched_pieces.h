// An image's pieces, with somebody who is told of each as it comes.
#pragma once

#include "image/pieces.h"

#include <functional>
#include <list>
#include <memory>

namespace godwit::image {

// In front of the pieces for whoever puts them. One strand.
class WatchedPieces final : public Pieces {
 public:
  using Listener = std::function<void(std::uint64_t piece)>;

  explicit WatchedPieces(std::shared_ptr<Pieces> pieces) : pieces_(std::move(pieces)) {}

  // Called for each piece that is put, until it is told to forget. Must not wait, nor put.
  using Listening = std::list<Listener>::iterator;
  [[nodiscard]] Listening listen(Listener listener) { return listeners_.insert(listeners_.end(), std::move(listener)); }
  void forget(Listening listening) { listeners_.erase(listening); }

  [[nodiscard]] std::uint64_t count() const override { return pieces_->count(); }
  [[nodiscard]] bool has_list() const override { return pieces_->has_list(); }
  [[nodiscard]] Result<> set_list(ByteView list) override { return pieces_->set_list(list); }
  [[nodiscard]] const PieceDigest& digest(std::uint64_t piece) const override { return pieces_->digest(piece); }
  [[nodiscard]] bool has(std::uint64_t piece) const override { return pieces_->has(piece); }
  [[nodiscard]] bool is_zero(std::uint64_t piece) const override { return pieces_->is_zero(piece); }
  [[nodiscard]] Result<> read(std::uint64_t piece, ByteSpan into) override { return pieces_->read(piece, into); }
  [[nodiscard]] Result<> put(std::uint64_t piece, ByteView bytes) override {
    auto done = pieces_->put(piece, bytes);
    if (done) {
      for (const auto& listener : listeners_) listener(piece);
    }
    return done;
  }

 private:
  std::shared_ptr<Pieces> pieces_;  // shared with the repository that has them
  std::list<Listener> listeners_;
};

}  // namespace godwit::image
