#include "overlay/flow_sampler.h"

#include <algorithm>
#include <array>

namespace godwit::overlay {

std::int64_t FlowSampler::draw() {
  std::array<std::byte, 4> bytes{};
  random_.fill(bytes);
  return 1 + static_cast<std::int64_t>(load_be32(bytes) % (2 * kOneIn - 1));
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
