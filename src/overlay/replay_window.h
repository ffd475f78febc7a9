// Which counters of a session were seen. RFC 6479: a ring of words, of which one is always being cleared; no shifting.
#pragma once

#include <array>
#include <cstdint>

namespace godwit::overlay {

class ReplayWindow {
 public:
  // How far behind the greatest counter one may come: twice WireGuard's, which 64 KiB of GRO a read can pass.
  static constexpr std::uint64_t kReach = 255UL * 64;

  // Neither seen nor too old. Changes nothing: only what is authentic may be marked.
  [[nodiscard]] bool is_new(std::uint64_t counter) const {
    if (counter >= end_) return true;
    if (end_ - counter > kReach) return false;
    return (word(counter) & bit(counter)) == 0;
  }

  // `counter` is new.
  void mark(std::uint64_t counter) {
    if (counter >= end_) clear_up_to(counter);
    word(counter) |= bit(counter);
  }
  // One past the greatest counter that was marked.
  [[nodiscard]] std::uint64_t end() const { return end_; }

 private:
  static constexpr std::uint64_t kBits = 64;
  static constexpr std::uint64_t kWords = kReach / kBits + 1;  // 256: divides without dividing

  static std::uint64_t bit(std::uint64_t counter) { return std::uint64_t{1} << (counter % kBits); }
  std::uint64_t& word(std::uint64_t counter) { return words_[counter / kBits % kWords]; }
  [[nodiscard]] const std::uint64_t& word(std::uint64_t counter) const { return words_[counter / kBits % kWords]; }

  void clear_up_to(std::uint64_t counter) {
    const auto last = end_ == 0 ? 0 : (end_ - 1) / kBits;
    const auto skipped = counter / kBits - last;
    for (std::uint64_t i = 1; i <= skipped && i <= kWords; ++i) words_[(last + i) % kWords] = 0;
    end_ = counter + 1;
  }

  std::array<std::uint64_t, kWords> words_{};
  std::uint64_t end_{0};
};

}  // namespace godwit::overlay
