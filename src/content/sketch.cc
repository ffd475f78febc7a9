#include "content/sketch.h"

#include "base/assert.h"
#include "base/page.h"

#include <algorithm>
#include <cstring>

namespace godwit::content {
namespace {

constexpr std::size_t kFeaturesEach = 3;  // pages that share a part s of their samples share a super-feature with s^3
constexpr std::size_t kFeatures = kSuperFeatures * kFeaturesEach;
constexpr std::size_t kWords = kPage_bytes / sizeof(std::uint64_t);
constexpr std::uint64_t kSampled = 0x7ULL << 61U;  // one of 8
constexpr std::size_t kFewestSamples = 4;

// Odd, random: any will do.
constexpr std::uint64_t kFirst = 0x9e3779b97f4a7c15ULL;
constexpr std::uint64_t kSecond = 0xc2b2ae3d27d4eb4fULL;
constexpr std::array<std::uint32_t, kFeatures> kMultiply{0x85ebca6bU, 0xc2b2ae35U, 0x27d4eb2fU,
                                                         0x165667b1U, 0x9e3779b1U, 0xd3a2646dU};
constexpr std::array<std::uint32_t, kFeatures> kAdd{0x7f4a7c15U, 0x94d049bbU, 0x1ce4e5b9U,
                                                    0xbf58476dU, 0x133111ebU, 0x2545f491U};

std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 32U;
  x *= kSecond;
  return x ^ (x >> 29U);
}

// Hashes of the sampled pairs, in their order. Runs of one word, zeros above all, say nothing of a page.
std::size_t sample(ByteView page, std::array<std::uint32_t, kWords>& samples) {
  std::array<std::uint64_t, kWords> words;
  std::memcpy(words.data(), page.data(), kPage_bytes);
  std::size_t count = 0;
  for (std::size_t i = 0; i + 1 < kWords; ++i) {
    const std::uint64_t pair =
        (words[i] ^ (words[i] >> 31U)) * kFirst + (words[i + 1] ^ (words[i + 1] >> 33U)) * kSecond;
    const std::uint64_t hash = pair ^ (pair >> 30U);
    // Always written, counted where it is one: no branch to guess wrong.
    samples[count] = static_cast<std::uint32_t>((hash * kFirst) >> 24U);
    count += ((hash * kFirst) & kSampled) == 0 && words[i] != words[i + 1] ? 1 : 0;
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
