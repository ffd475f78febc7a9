// Pieces as frames, plain or packed, as they come from the upstream and go on to the successor. The newest are kept,
// for a successor that follows closely: for it nothing is read back from disk.
#pragma once

#include "image/chain_messages.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <unordered_map>
#include <utility>

namespace godwit::image::chain {

// A frame takes the same room whether its piece is packed or not.
inline constexpr std::size_t kKeptFrames = 64;  // 4 MiB of each image,
inline constexpr std::size_t kKeptOfAll = 256;  // and 16 MiB of all that come at once: of each fewer then,
inline constexpr std::size_t kKeptFewest = 4;   // but so many

class Frame {
 public:
  Frame() : bytes_(std::make_unique_for_overwrite<std::byte[]>(kPieceFrame_bytes)) {}

  // For what comes, with its number and of at most so many bytes as a plain one has; or for a plain one.
  void resize(std::size_t body_bytes) { size_ = kHead_bytes + body_bytes; }
  [[nodiscard]] bool is_packed() const { return size_ < kPieceFrame_bytes; }
  [[nodiscard]] ByteSpan bytes() { return {bytes_.get(), size_}; }
  [[nodiscard]] ByteView bytes() const { return {bytes_.get(), size_}; }
  [[nodiscard]] ByteSpan body() { return bytes().subspan(kHead_bytes); }
  // The piece, or what it is packed as.
  [[nodiscard]] ByteSpan content() { return bytes().subspan(kPieceHead_bytes); }
  void pack(ByteView packed) {
    resize(kPieceHead_bytes - kHead_bytes + packed.size());
    std::ranges::copy(packed, content().begin());
  }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_{kPieceFrame_bytes};
};

// One strand. Frames are shared with the connections that they are on their way to.
class Frames {
 public:
  // `all`: how many are kept of all images, shared by them.
  explicit Frames(std::shared_ptr<std::size_t> all) : all_(std::move(all)) {}
  ~Frames() { forget(); }
  Frames(const Frames&) = delete;
  Frames& operator=(const Frames&) = delete;

  // To be filled; one that nobody needs any more, where there is one.
  [[nodiscard]] std::shared_ptr<Frame> fresh() {
    if (!spare_) return std::make_shared<Frame>();
    spare_->resize(kPieceFrame_bytes - kHead_bytes);
    return std::exchange(spare_, nullptr);
  }
  void keep(std::uint64_t piece, std::shared_ptr<Frame> frame) {
    by_piece_[piece] = std::move(frame);
    order_.push_back(piece);
    ++*all_;
    while (order_.size() > kKeptFrames || (*all_ > kKeptOfAll && order_.size() > kKeptFewest)) drop_oldest();
  }
  void give_back(std::shared_ptr<Frame> frame) {
    if (frame.use_count() == 1) spare_ = std::move(frame);
  }
  // Null where it is not among the newest.
  [[nodiscard]] std::shared_ptr<Frame> find(std::uint64_t piece) const {
    const auto found = by_piece_.find(piece);
    return found == by_piece_.end() ? nullptr : found->second;
  }
  void forget() {
    by_piece_.clear();
    *all_ -= order_.size();
    order_.clear();
    spare_.reset();
  }

 private:
  void drop_oldest() {
    const auto oldest = by_piece_.extract(order_.front());
    order_.pop_front();
    --*all_;
    if (!oldest.empty()) give_back(oldest.mapped());
  }

  std::shared_ptr<std::size_t> all_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Frame>> by_piece_;
  std::deque<std::uint64_t> order_;
  std::shared_ptr<Frame> spare_;
};

}  // namespace godwit::image::chain
