#include "cli/savings.h"

#include "cli/table.h"
#include "cli/text.h"

#include <fmt/format.h>

#include <array>

namespace godwit::cli {
namespace {

struct Kind {
  std::uint64_t wire::Savings::* bytes;
  const char* name;
  const char* why;
};

// As the encoder asks: who is caught by one is not looked at by the next.
constexpr std::array<Kind, 6> kKinds{
    {{&wire::Savings::zero, "zeros", "said, not sent"},
     {&wire::Savings::image, "image", "blocks of an image that is there"},
     {&wire::Savings::sibling, "known", "crossed before, of a sibling or this one"},
     {&wire::Savings::similar, "alike", "the change from what had crossed, compressed"},
     {&wire::Savings::literal, "new", "sent, compressed"},
     {&wire::Savings::other, "rest", "no pages: devices, QEMU's records"}}};

std::uint64_t sum_of(const wire::Savings& savings) {
  std::uint64_t sum = 0;
  for (const auto& kind : kKinds) sum += savings.*kind.bytes;
  return sum;
}

std::uint64_t wan_of(const Crossing& crossing) { return crossing.wan.memory + crossing.wan.disk; }

double percent(std::uint64_t part, std::uint64_t whole) {
  return whole ? 100 * static_cast<double>(part) / static_cast<double>(whole) : 0;
}

}  // namespace

Crossing crossing_of(const wire::MigrationReport& report) {
  Crossing out;
  out.as = report.cost.savings;
  out.wan = report.cost.wan_bytes;
  const auto looked_at = sum_of(out.as);
  out.guest_bytes = looked_at ? looked_at : report.progress.memory_sent_bytes + report.progress.disk_sent_bytes;
  return out;
}

Crossing crossing_of(std::span<const wire::MigrationReport> reports) {
  Crossing sum;
  for (const auto& report : reports) {
    const auto one = crossing_of(report);
    for (const auto& kind : kKinds) sum.as.*kind.bytes += one.as.*kind.bytes;
    sum.wan.memory += one.wan.memory;
    sum.wan.disk += one.wan.disk;
    sum.guest_bytes += one.guest_bytes;
  }
  return sum;
}

std::string ratio_text(const Crossing& crossing) {
  const auto wan = wan_of(crossing);
  if (wan == 0 || crossing.guest_bytes == 0) return "";
  const auto ratio = static_cast<double>(crossing.guest_bytes) / static_cast<double>(wan);
  return ratio < 10 ? fmt::format("{:.1f}x", ratio) : fmt::format("{:.0f}x", ratio);
}

std::string crossing_line(const Crossing& crossing) {
  const auto ratio = ratio_text(crossing);
  if (ratio.empty()) return "";
  const auto line = fmt::format("WAN {} ({})", bytes_text(wan_of(crossing)), ratio);
  const auto whole = sum_of(crossing.as);
  std::string kinds;
  for (const auto& kind : kKinds) {
    const auto part = percent(crossing.as.*kind.bytes, whole);
    if (part >= 0.5) kinds += fmt::format("{}{} {:.0f}%", kinds.empty() ? ": " : ", ", kind.name, part);
  }
  return line + kinds;
}

std::string crossing_table(const Crossing& crossing) {
  const auto ratio = ratio_text(crossing);
  if (ratio.empty()) return "";
  Table table({{"CROSSED AS"}, {"BYTES", Align::right}, {"PART", Align::right}, {"WHY"}});
  const auto whole = sum_of(crossing.as);
  for (const auto& kind : kKinds) {
    const auto bytes = crossing.as.*kind.bytes;
    if (bytes) table.add({kind.name, bytes_text(bytes), fmt::format("{:.1f}%", percent(bytes, whole)), kind.why});
  }
  table.add({"in all", bytes_text(crossing.guest_bytes), "", "what QEMU put out, memory and disk"});
  table.add({"on the WAN", bytes_text(wan_of(crossing)),
             fmt::format("{:.1f}%", percent(wan_of(crossing), crossing.guest_bytes)),
             fmt::format("{} less: {} memory, {} disk", ratio, bytes_text(crossing.wan.memory),
                         bytes_text(crossing.wan.disk))});
  return table.text();
}

}  // namespace godwit::cli
