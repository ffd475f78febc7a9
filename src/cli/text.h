// Text for terminals: how wide it is, what must not reach one, and numbers as people read them.
#pragma once

#include "base/time.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace godwit::cli {

// Valid UTF-8 on one line: control characters and broken sequences, which could steer the terminal, become "?".
[[nodiscard]] std::string printable(std::string_view text);

// Columns of a terminal (UAX #11: wide and fullwidth count two, combining marks none). `text` is printable().
[[nodiscard]] std::size_t display_width(std::string_view text);

// At most `columns` wide, ending in "…" where something was cut off.
[[nodiscard]] std::string cut_to(std::string_view text, std::size_t columns);
[[nodiscard]] std::string pad_right(std::string_view text, std::size_t columns);
[[nodiscard]] std::string pad_left(std::string_view text, std::size_t columns);

[[nodiscard]] std::string bytes_text(std::uint64_t bytes);  // "1.5 GiB"
[[nodiscard]] std::string duration_text(double seconds);    // "850 ms", "12.3 s", "4 min 10 s", "3 h 5 min"
[[nodiscard]] std::string age_text(std::int64_t then_ms, WallTime now);  // "3 min", "2 d"; "-" for 0
[[nodiscard]] std::string bar_text(double part, std::size_t columns);    // "[#####-----]" for 0.5 and 12

}  // namespace godwit::cli
