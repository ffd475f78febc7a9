// Cuts a stream that comes in pieces into fields, which a parser needs whole, and content, which passes as it comes.
// Whatever is taken is covered by stretches at once.
#pragma once

#include "wire/stretches.h"

#include <array>

namespace godwit::wire {

// What a part of a parser says after each step.
enum class Step : std::uint8_t {
  more,
  done,  // the part has ended where its grammar says
  lost,  // what came is none of its grammar
};

class StreamCut final {
 public:
  static constexpr std::size_t kMostField_bytes = 320;

  // Both are borrowed until the next begin().
  void begin(ByteView bytes, std::vector<Stretch>& stretches);
  [[nodiscard]] bool empty() const { return rest_.empty(); }

  // The first of the bytes to come. Not when empty().
  [[nodiscard]] std::byte front() const { return rest_.front(); }
  // What is left of this feed. Not while a field is half taken.
  [[nodiscard]] ByteView rest() const { return rest_; }
  // The next `size` bytes if this feed has them all and no field is half taken, else nothing.
  [[nodiscard]] ByteView ahead(std::size_t size) const;

  // Takes the next field of 1 to kMostField_bytes, or what there is of it: then nothing, and the same call in the next
  // feed goes on. Valid until the next call. Only a field that is whole in one feed is of `kind`, else `other`.
  [[nodiscard]] ByteView field(std::size_t size, StretchKind kind = StretchKind::other);
  // Takes what there is of `left_bytes` of content, and counts them down.
  void pass(std::uint64_t& left_bytes, StretchKind kind = StretchKind::other, std::uint64_t place = 0);

 private:
  void cover(std::size_t bytes, StretchKind kind, std::uint64_t place);

  ByteView rest_;
  std::vector<Stretch>* stretches_{nullptr};
  std::array<std::byte, kMostField_bytes> begun_{};  // a field that earlier feeds began
  std::size_t begun_bytes_{0};
};

}  // namespace godwit::wire
