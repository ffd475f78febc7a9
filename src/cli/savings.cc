#include "cli/savings.h"

#include "cli/table.h"
#include "cli/text.h"

#include <fmt/format.h>

#include <array>

namespace godwit::cli {
namespace {

constexpr std::size_t kLineWidth = 80;

struct Kind {
  std::uint64_t wire::Savings::* bytes;
  const char* name;
  const char* why;
};

// As the encoder asks: who is caught by one is not looked at by the next.
constexpr std::array<Kind, 8> kKinds{{{&wire::Savings::zero, "zero", "said, not sent"},
                                      {&wire::Savings::image, "image", "blocks of an image that is there"},
                                      {&wire::Savings::sibling, "sibling", "crossed before, of another instance"},
                                      {&wire::Savings::earlier, "earlier", "crossed before, of this one"},
                                      {&wire::Savings::similar, "similar", "sent as the change from what had crossed"},
                                      {&wire::Savings::compressed, "compressed", "new, taken off by compression"},
                                      {&wire::Savings::literal, "literal", "new, sent"},
                                      {&wire::Savings::other, "rest", "no pages: devices, QEMU's records"}}};

std::uint64_t wan_of(const Crossing& crossing) { return crossing.wan.memory + crossing.wan.disk; }

double percent(std::uint64_t part, std::uint64_t whole) {
  return whole ? 100 * static_cast<double>(part) / static_cast<double>(whole) : 0;
}

// ": image 26%, sibling 60%": kinds that are `least` percent or more.
std::string parts_text(const wire::Savings& savings, double least) {
  std::string text;
  const auto whole = savings.sum();
  for (const auto& kind : kKinds) {
    const auto part = percent(savings.*kind.bytes, whole);
    if (part >= least) text += fmt::format("{}{} {:.0f}%", text.empty() ? ": " : ", ", kind.name, part);
  }
  return text;
}

}  // namespace

Crossing crossing_of(const wire::MigrationReport& report) {
  Crossing out;
  out.as = report.cost.savings;
  out.wan = report.cost.wan_bytes;
  const auto looked_at = out.as.sum();
  out.guest_bytes = looked_at ? looked_at : report.progress.memory_sent_bytes + report.progress.disk_sent_bytes;
  return out;
}

Crossing crossing_of(std::span<const wire::MigrationReport> reports) {
  Crossing sum;
  for (const auto& report : reports) {
    const auto one = crossing_of(report);
    sum.as += one.as;
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
  const auto begin = fmt::format("WAN {} ({})", bytes_text(wan_of(crossing)), ratio);
  // The least part that is said: as small as the line has room for.
  for (double least = 0.5;; least *= 1.5) {
    auto line = begin + parts_text(crossing.as, least);
    if (display_width(line) < kLineWidth || least > 100) return line;
  }
}

std::string crossing_table(const Crossing& crossing) {
  const auto ratio = ratio_text(crossing);
  if (ratio.empty()) return "";
  Table table({{"CROSSED AS"}, {"BYTES", Align::right}, {"PART", Align::right}, {"WHY"}});
  const auto whole = crossing.as.sum();
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
