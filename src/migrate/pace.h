// How much an encoder tries: more while the link is what is waited for, less while it is the CPU, unless the stream
// goes several times as fast as a slow link alone would let it: then bytes are worth more than time. Where even looking
// for what the destination has takes longer than it saves, bytes pass as they are; from time to time the other way is
// tried again, so often that it costs next to nothing. But for that the other end must be near: no connection takes
// more than what may be under way in a round trip, and where that is less than what the encoder takes, it is in
// nobody's way, whatever CPU it waits for. Pure.
#pragma once

#include "base/time.h"
#include "migrate/batch_encoder.h"

#include <array>
#include <optional>

namespace godwit::migrate {

class Pace {
 public:
  static constexpr std::size_t kTrial_slices = 5;             // tell how fast a way is
  static constexpr std::uint64_t kSlice_bytes = 1ULL << 20U;  // of the stream
  static constexpr std::uint64_t kStay_bytes = 32ULL << 20U;  // at least, until the other way is tried again
  static constexpr double kTrials = 0.005;                    // of the time may be lost by that

  // With `fixed` it always says that.
  explicit Pace(std::optional<Effort> fixed = std::nullopt) : fixed_(fixed) {}
  // Of one batch: what it took to encode, and to be taken by the link, how much of the stream it was, and how much of
  // that is left; and what else it waited for, but for the stream itself. Where next to nothing is left, no effort
  // would change anything: such a batch says nothing of the link.
  void note(Nanos encoding, Nanos writing, std::size_t bytes, std::size_t left_bytes, Nanos rest = {});
  // An answer came so long after what it answers: the way there and back takes no longer.
  void answered_after(Nanos round_trip);
  [[nodiscard]] Effort effort() const;
  // Nothing says that CPU is what is waited for: what saves bytes may take a round trip more.
  [[nodiscard]] bool is_patient() const { return fixed_ ? fixed_->similar : step_ >= kBegin; }
  // The next bytes need not become a batch.
  [[nodiscard]] bool passes() const { return !fixed_ && step_ == kPassing; }

 private:
  static constexpr int kPassing = 0;
  static constexpr int kReferring = 1;
  static constexpr int kKeeping = 4;  // the first that keeps what crosses, and finds what is like it
  static constexpr int kBegin = 6;
  // How fast one of the two goes: the median of its last slices, so that a pause of the machine says nothing. The first
  // slice still has to do with the other way, and doesn't count.
  class Way {
   public:
    void begin() { *this = {}; }
    void add(std::size_t bytes, double seconds);
    [[nodiscard]] std::size_t slices() const { return slices_; }
    [[nodiscard]] double bytes_per_s() const;  // 0: not tried

   private:
    std::array<double, 2 * kTrial_slices - 1> speeds_{};  // a ring
    std::size_t slices_{0};
    bool settled_{false};
    double bytes_{0};
    double seconds_{0};
  };
  void enter(int step);
  void look();
  void see_link(double busy);
  [[nodiscard]] bool outruns_a_slow_link() const;
  [[nodiscard]] bool outruns_any_window() const;
  void enter_less(int step);
  void compare_ways();

  std::optional<Effort> fixed_;
  int step_{kBegin};
  double encoding_ms_{0};
  double writing_ms_{0};
  double stream_bytes_{0};
  double left_bytes_{0};
  double link_bytes_per_s_{0};    // as far as it was seen to be waited for; 0: never
  double passed_bytes_per_s_{0};  // as it was passing; 0: since the link was plainly waited for, never
  Nanos round_trip_{Nanos::max()};
  int batches_{0};
  int looks_waited_{0};  // one after the other, in which some time went into the link
  int looks_not_waited_{0};
  int looks_held_{0};               // in which most of it went into a link that is not fast
  std::uint64_t written_bytes_{0};  // into the link, so far
  std::uint64_t in_step_bytes_{0};
  double in_step_s_{0};
  double stay_s_{0};         // before the other of the two ways is tried
  std::array<Way, 2> ways_;  // kPassing, kReferring: as they were last
};

}  // namespace godwit::migrate
