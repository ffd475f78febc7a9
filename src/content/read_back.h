// Takes up what an earlier process left in a store, beside whatever else goes on.
#pragma once

#include "content/store.h"
#include "sys/clock.h"

namespace godwit::content {

// Of disk, and a tenth of a core: 4 GiB take two minutes.
inline constexpr std::uint64_t kReadBackRate_bytes_per_s = 32ULL << 20U;

// Until all was read; how many pages are held. Both outlive it.
[[nodiscard]] sys::Task<std::uint64_t> read_back(sys::Clock& clock, Store& store);

}  // namespace godwit::content
