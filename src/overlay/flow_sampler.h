// Which flows a switch carries, from a sample of its packets. Pure; chance is injected.
//
// One packet in kOneIn, on average: the gaps between samples are drawn evenly from 1 to 2 * kOneIn - 1, so that traffic
// with a rhythm is sampled fairly too (as sFlow does, RFC 3176, 3.1). A packet costs a subtraction. Gaps come from a
// generator of its own (xorshift64*, Vigna 2016), which nobody outside sees anything of: a system call for each would
// cost more than all the rest.
#pragma once

#include "overlay/counters.h"
#include "overlay/flow.h"
#include "sys/clock.h"

#include <unordered_map>
#include <vector>

namespace godwit::overlay {

class FlowSampler {
 public:
  static constexpr std::uint32_t kOneIn = 64;
  static constexpr std::size_t kMostFlows = 2048;  // an interval; what is met later is not told apart

  explicit FlowSampler(sys::Random& random);

  // `packets` (at least 1) of one flow, `bytes` together, which begin as `frame` does.
  void see(std::uint32_t vni, ByteView frame, std::size_t packets, std::size_t bytes) {
    left_ -= static_cast<std::int64_t>(packets);
    if (left_ <= 0) sample(vni, frame, packets, bytes);
  }

  struct Flow {
    FlowKey key;
    Traffic traffic;  // estimated
  };
  // The largest, by bytes, largest first, at most `most`; begins anew.
  [[nodiscard]] std::vector<Flow> take(std::size_t most);

 private:
  [[nodiscard]] std::int64_t draw();
  void sample(std::uint32_t vni, ByteView frame, std::size_t packets, std::size_t bytes);

  std::uint64_t state_;  // of the generator; never 0
  std::int64_t left_;    // packets, to the next sample
  std::unordered_map<FlowKey, Traffic, FlowKeyHash> flows_;
};

}  // namespace godwit::overlay
