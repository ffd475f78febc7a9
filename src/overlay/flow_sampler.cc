#include "overlay/flow_sampler.h"

#include <algorithm>
#include <array>

namespace godwit::overlay {

namespace {

std::uint64_t seed_from(sys::Random& random) {
  std::array<std::byte, 8> bytes{};
  random.fill(bytes);
  return load_be64(bytes) | 1U;
}

}  // namespace

FlowSampler::FlowSampler(sys::Random& random) : state_(seed_from(random)), left_(draw()) {}

std::int64_t FlowSampler::draw() {
  state_ ^= state_ >> 12U;
  state_ ^= state_ << 25U;
  state_ ^= state_ >> 27U;
  const auto drawn = (state_ * 0x2545f4914f6cdd1dULL) >> 32U;
  return 1 + static_cast<std::int64_t>(drawn % (2 * kOneIn - 1));
}

void FlowSampler::sample(std::uint32_t vni, ByteView frame, std::size_t packets, std::size_t bytes) {
  std::uint64_t samples = 0;
  for (; left_ <= 0; left_ += draw()) ++samples;
  const auto key = read_flow(vni, frame);
  if (!key) return;
  auto found = flows_.find(*key);
  if (found == flows_.end()) {
    if (flows_.size() == kMostFlows) return;
    found = flows_.try_emplace(*key).first;
  }
  found->second.frames += samples * kOneIn;
  found->second.bytes += samples * kOneIn * bytes / packets;
}

std::vector<FlowSampler::Flow> FlowSampler::take(std::size_t most) {
  std::vector<Flow> out;
  out.reserve(flows_.size());
  for (const auto& [key, traffic] : flows_) out.push_back({key, traffic});
  flows_.clear();
  const auto kept = std::min(most, out.size());
  const auto larger = [](const Flow& a, const Flow& b) { return a.traffic.bytes > b.traffic.bytes; };
  std::partial_sort(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(kept), out.end(), larger);
  out.resize(kept);
  return out;
}

}  // namespace godwit::overlay
