// Pages of a test: told apart by a number, the same in every run.
#pragma once

#include "base/bytes.h"
#include "base/page.h"

#include <random>

namespace godwit::testing {

inline ByteVector page_of(std::uint64_t number) {
  ByteVector page(kPage_bytes);
  std::mt19937_64 random(number + 1);
  for (std::size_t at = 0; at < kPage_bytes; at += 8) store_be64(ByteSpan(page).subspan(at), random());
  return page;
}

// `page` with `words` of its 512 words changed, here and there.
inline ByteVector changed(ByteVector page, std::size_t words, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (std::size_t i = 0; i < words; ++i) {
    store_be64(ByteSpan(page).subspan(random() % (kPage_bytes / 8) * 8), random());
  }
  return page;
}

}  // namespace godwit::testing
