// images/tiny/pattern.h: 4 KiB of content that no compressor shrinks and that anyone can recompute from two numbers.
#pragma once

#include <array>
#include <cstdint>

namespace godwit::tiny {

constexpr std::size_t kPageBytes = 4096;
using Page = std::array<std::uint64_t, kPageBytes / sizeof(std::uint64_t)>;

// Words 0 and 1 are `index` and `version`; the others follow from them (xorshift64*, Vigna 2016).
inline void fill(Page& page, std::uint64_t index, std::uint64_t version) {
  page[0] = index;
  page[1] = version;
  std::uint64_t state = (index * 0x9e3779b97f4a7c15u) ^ (version * 0xbf58476d1ce4e5b9u) ^ 0x94d049bb133111ebu;
  if (state == 0) state = 1;
  for (std::size_t i = 2; i < page.size(); ++i) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    page[i] = state * 0x2545f4914f6cdd1du;
  }
}

enum class Found { absent, whole, corrupt };

// Whether `page` is what fill() made for `index` with some version, or was never filled (all zeros).
inline Found inspect(const Page& page, std::uint64_t index) {
  bool zero = true;
  for (const std::uint64_t word : page) zero = zero && word == 0;
  if (zero) return Found::absent;
  Page expected;
  fill(expected, index, page[1]);
  return page == expected ? Found::whole : Found::corrupt;
}

// FNV-1a over words: equal content, equal sum; for tests that compare, not for identity.
inline std::uint64_t sum(std::uint64_t before, const Page& page) {
  for (const std::uint64_t word : page) before = (before ^ word) * 0x100000001b3u;
  return before;
}

}  // namespace godwit::tiny
