// Which of the pages to come the destination's cloud holds already, though they never crossed between these two hosts:
// asked by digest, ahead of the batches, and answered after a round trip. What is held is numbered at both ends like a
// page that crossed (Rapport::theirs here), so batches refer to it. Pure but for the reads of store and image.
#pragma once

#include "content/siblings.h"
#include "migrate/batch_encoder.h"
#include "migrate/channel.h"
#include "migrate/seeking.h"
#include "migrate/shrink_frames.h"

#include <deque>
#include <map>
#include <optional>

namespace godwit::migrate {

inline constexpr std::size_t kAhead_bytes = 8UL * 1024 * 1024;

// What QEMU gave and no batch has yet. Places in the stream are counted from its begin.
struct Backlog {
  ByteView bytes;
  const std::deque<wire::Stretch>* stretches{nullptr};
  std::uint64_t bytes_before{0};
  std::uint64_t stretches_before{0};
};

class Inquiry final {
 public:
  Inquiry(Departure& departure, const BatchEncoder& encoder, Channel channel)
      : departure_(departure), encoder_(encoder), channel_(channel), seeking_(departure, encoder) {}

  // The destination's cloud answers questions, if the welcome has its key.
  void begin(const ShrinkWelcome& welcome);
  // Looks at what came since it last looked. What to ask, the payload of one `ask`; empty: nothing. Only pages that
  // pass for the first time are asked about: in later rounds a round trip would be spent in vain, or in the pause.
  [[nodiscard]] ByteVector look(const Backlog& backlog);
  // Errors: protocol (an answer to no question, or of another size). `seek`: what is not held may be sought as alike,
  // which takes a round trip more.
  [[nodiscard]] Result<> answered(const Backlog& backlog, ByteView held, bool seek = false);
  [[nodiscard]] Seeking& seeking() { return seeking_; }
  // How much of the backlog's begin waits for no answer.
  struct Ready {
    std::size_t bytes{0};
    std::size_t stretches{0};
  };
  [[nodiscard]] Ready ready(const Backlog& backlog) const;
  // How far ahead of the batches to look, in bytes: while questions are asked, more than a round trip's worth.
  [[nodiscard]] std::size_t ahead_bytes() const;
  [[nodiscard]] std::size_t open() const { return asked_.size() + seeking_.open(); }

 private:
  struct Question {
    std::uint64_t stretch{0};
    std::uint64_t byte{0};
    std::uint64_t fingerprint{0};
  };
  [[nodiscard]] bool asks() const { return key_.has_value() && worth_ > 0; }
  [[nodiscard]] bool is_first(std::uint64_t place, bool crowded);
  [[nodiscard]] bool is_worth_asking(ByteView page, std::uint64_t fingerprint) const;

  Departure& departure_;
  const BatchEncoder& encoder_;
  Channel channel_;
  std::optional<content::PageKey> key_;
  std::uint32_t connection_{0};  // theirs, that numbers what is held
  std::uint64_t number_{0};
  std::uint64_t seen_stretches_{0};
  std::uint64_t seen_bytes_{0};
  std::uint64_t last_asked_{0};                      // of the stream's bytes, 0: none
  std::map<std::uint64_t, std::uint64_t> furthest_;  // of each block of memory, the last page that passed
  std::deque<std::vector<Question>> asked_;
  Seeking seeking_;
  double worth_{1};  // how many of the last pages that were asked about were held; 0: not worth asking any more
};

}  // namespace godwit::migrate
