#include "hypervisor/guest_memory.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace godwit::hypervisor {
namespace {

constexpr std::uint64_t kLeastMemory_bytes = 32UL * 1024 * 1024;  // a guest has more; QEMU's other parts have less

// "7f2c00000000-7f2c08000000 rw-p 00000000 00:00 0 [name]"
std::optional<MemoryRange> parse_range(std::string_view line) {
  MemoryRange range;
  const auto* const begin = line.data();
  const auto* const end = begin + line.size();
  const auto first = std::from_chars(begin, end, range.begin, 16);
  if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '-') return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, range.end, 16);
  const std::string_view rest(second.ptr, end);
  if (second.ec != std::errc{} || !rest.starts_with(" rw-") || range.end < range.begin) return std::nullopt;
  return range;
}

}  // namespace

Result<std::vector<MemoryRange>> guest_memory(std::string_view maps) {
  std::vector<MemoryRange> ranges;
  while (!maps.empty()) {
    const auto line = maps.substr(0, maps.find('\n'));
    maps.remove_prefix(std::min(maps.size(), line.size() + 1));
    const auto range = parse_range(line);
    if (!range) continue;
    if (!ranges.empty() && ranges.back().end == range->begin) {
      ranges.back().end = range->end;  // one block of memory, of which parts have other flags
    } else {
      ranges.push_back(*range);
    }
  }
  std::erase_if(ranges, [](const auto& each) { return each.end - each.begin < kLeastMemory_bytes; });
  if (ranges.empty()) return fail(Errc::not_found, "no memory of a guest in this process: is it a QEMU that runs one?");
  return ranges;
}

}  // namespace godwit::hypervisor
