// What pages that are alike share: super-features.
// N-transform (Broder, "Identifying and filtering near-duplicate documents", CPM 2000) over content-defined samples, as
// Odess has it (Zou et al., "Odess: Speeding up resemblance detection for redundancy elimination by fast
// content-defined sampling", ICDE 2021). Samples are aligned 8-byte words instead of a rolling window of bytes: in
// memory things lie aligned, and between them lie pointers, which differ: docs/decisions/content-index.md has the
// comparison.
#pragma once

#include "base/bytes.h"

#include <array>
#include <cstdint>

namespace godwit::content {

inline constexpr std::size_t kSuperFeatures = 2;
using Sketch = std::array<std::uint32_t, kSuperFeatures>;  // 0: the page has too little content for one

// `page`: kPage_bytes. Pure. Cost: half a microsecond.
[[nodiscard]] Sketch sketch_of(ByteView page);
// Whether their pages may be taken for alike: they share a super-feature.
[[nodiscard]] constexpr bool are_alike(const Sketch& a, const Sketch& b) {
  for (std::size_t i = 0; i < kSuperFeatures; ++i) {
    if (a[i] != 0 && a[i] == b[i]) return true;
  }
  return false;
}

}  // namespace godwit::content
