#include "content/sketch.h"

#include "base/assert.h"
#include "base/page.h"

#include <algorithm>
#include <cstring>

namespace godwit::content {
namespace {

constexpr std::size_t kFeaturesEach = 2;  // pages that share a part s of their samples share a super-feature with s^2
constexpr std::size_t kFeatures = kSuperFeatures * kFeaturesEach;
constexpr std::size_t kWords = kPage_bytes / sizeof(std::uint64_t);
constexpr std::uint64_t kSampled = 0x3ULL << 62U;  // one of 4
constexpr std::size_t kFewestSamples = 4;

// Odd, random: any will do.
constexpr std::array<std::uint32_t, kFeatures> kMultiply{0x85ebca6bU, 0xc2b2ae35U, 0x27d4eb2fU, 0x165667b1U};
constexpr std::array<std::uint32_t, kFeatures> kAdd{0x7f4a7c15U, 0x94d049bbU, 0x1ce4e5b9U, 0xbf58476dU};

std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 32U)) * 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 29U)) * 0xc2b2ae3d27d4eb4fULL;
  return x ^ (x >> 32U);
}

// Hashes of the sampled words, in their order. Zeros and repetitions say nothing of a page.
std::size_t sample(ByteView page, std::array<std::uint32_t, kWords>& samples) {
  std::size_t count = 0;
  std::uint64_t before = 0;
  for (std::size_t i = 0; i < kWords; ++i) {
    std::uint64_t word = 0;
    std::memcpy(&word, page.data() + i * sizeof(word), sizeof(word));
    const std::uint64_t hash = mix(word);
    // Always written, counted where it is one: no branch to guess wrong.
    samples[count] = static_cast<std::uint32_t>(hash);
    count += (hash & kSampled) == 0 && word != before && word != 0 ? 1 : 0;
    before = word;
  }
  return count;
}

}  // namespace

Sketch sketch_of(ByteView page) {
  GODWIT_ASSERT(page.size() == kPage_bytes);
  std::array<std::uint32_t, kWords> samples;
  const auto count = sample(page, samples);
  if (count < kFewestSamples) return {};
  std::array<std::uint32_t, kFeatures> features{};
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t k = 0; k < kFeatures; ++k) {
      features[k] = std::max(features[k], samples[i] * kMultiply[k] + kAdd[k]);
    }
  }
  Sketch sketch{};
  for (std::size_t k = 0; k < kFeatures; ++k) {
    auto& super = sketch[k / kFeaturesEach];
    super = static_cast<std::uint32_t>(mix((std::uint64_t{super} << 32U | features[k]) + k / kFeaturesEach));
  }
  for (auto& super : sketch) super = std::max<std::uint32_t>(super, 1);
  return sketch;
}

}  // namespace godwit::content
