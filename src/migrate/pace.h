// How much an encoder tries: more while the link is what is waited for, less while it is the CPU, unless the stream
// goes several times as fast as the link alone would let it: then bytes are worth more than time. Where even looking
// for what the destination has takes longer than it saves, bytes pass as they are; from time to time the other way is
// tried again. Pure.
#pragma once

#include "base/time.h"
#include "migrate/batch_encoder.h"

#include <array>
#include <optional>

namespace godwit::migrate {

class Pace {
 public:
  static constexpr std::uint64_t kTrial_bytes = 4ULL << 20U;   // of the stream: so many tell how fast a way is
  static constexpr std::uint64_t kStay_bytes = 128ULL << 20U;  // until the other way is tried again

  // With `fixed` it always says that.
  explicit Pace(std::optional<Effort> fixed = std::nullopt) : fixed_(fixed) {}
  // Of one batch: what it took to encode, and to be taken by the link, how much of the stream it was, and how much of
  // that is left. Where next to nothing is, no effort would change anything: such a batch says nothing of the link.
  void note(Nanos encoding, Nanos writing, std::size_t bytes, std::size_t left_bytes);
  [[nodiscard]] Effort effort() const;
  // The next bytes need not become a batch.
  [[nodiscard]] bool passes() const { return !fixed_ && step_ == kPassing; }

 private:
  static constexpr int kPassing = 0;
  static constexpr int kLooking = 1;
  struct Trial {
    double bytes{0};
    double seconds{0};
    [[nodiscard]] double speed() const { return seconds > 0 ? bytes / seconds : 0; }
  };
  void enter(int step);
  [[nodiscard]] bool is_fast_enough() const;
  void note_looking(double busy);
  void note_passing();

  std::optional<Effort> fixed_;
  int step_{6};
  double encoding_ms_{0};
  double writing_ms_{0};
  double stream_bytes_{0};
  double left_bytes_{0};
  double link_bytes_per_s_{0};  // as far as it was seen to be waited for; 0: never
  int batches_{0};
  std::uint64_t in_step_bytes_{0};
  std::uint64_t pass_after_bytes_{kTrial_bytes};  // at kLooking
  std::array<Trial, 2> trials_;                   // of the last time at kPassing, at kLooking
};

}  // namespace godwit::migrate
