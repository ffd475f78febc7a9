// What a migration spared the WAN, and why, as people read it. Pure.
#pragma once

#include "wire/migration.h"

#include <span>
#include <string>
#include <vector>

namespace godwit::cli {

// Of one migration, or of some together.
struct Crossing {
  wire::Savings as;  // all zeros where the encoding doesn't look
  wire::WanBytes wan;
  std::uint64_t guest_bytes{0};  // what QEMU put out: memory, round by round, and disk
};

[[nodiscard]] Crossing crossing_of(const wire::MigrationReport& report);
[[nodiscard]] Crossing crossing_of(std::span<const wire::MigrationReport> reports);

// "23x": the guest's bytes for one on the WAN. Empty while nothing has crossed.
[[nodiscard]] std::string ratio_text(const Crossing& crossing);

// A line for 80 columns: "WAN 60.0 MiB (20x): image 26%, sibling 60%, similar 9%, literal 5%". The smallest kinds are
// left out where there is no room for them, or next to nothing of them. Empty while nothing has crossed.
[[nodiscard]] std::string crossing_line(const Crossing& crossing);

// A line a kind, with bytes and part of the whole, then what was on the WAN. Empty where nothing has crossed.
[[nodiscard]] std::string crossing_table(const Crossing& crossing);

}  // namespace godwit::cli
