#include "cli/outcome.h"

#include "cli/savings.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/views.h"

namespace godwit::cli {
namespace {

using Names = std::map<std::string, std::string>;

std::string name_of(const wire::MigrationReport& report, const Names& names) {
  const auto found = names.find(report.instance);
  return found == names.end() ? report.instance : found->second;
}

bool has_moved(const wire::MigrationReport& report) {
  return report.phase == wire::MigrationPhase::completed || report.phase == wire::MigrationPhase::owned;
}

std::string where(const wire::MigrationReport& report) { return report.to_cloud + "/" + report.to_host; }

std::string sentence(const wire::MigrationReport& report, const Names& names) {
  const auto who = printable(name_of(report, names));
  if (has_moved(report)) {
    return fmt::format("{} runs at {}: {} in all, {:.0f} ms down\n", who, printable(where(report)),
                       duration_text(report.cost.total_s), report.cost.downtime_ms);
  }
  if (report.phase == wire::MigrationPhase::in_doubt) {
    return fmt::format("{} is in doubt: {} (godwit instance resolve says what can be done)\n", who,
                       printable(report.error));
  }
  return fmt::format("{} stays at {}: {}\n", who, printable(report.from_cloud),
                     report.error.empty() ? word_of(report.phase) : printable(report.error));
}

std::string moved_table(const wire::MigrationList& list, const Names& names) {
  Table table({{"MEMBER"},
               {"RUNS AT"},
               {"TOOK", Align::right},
               {"DOWN", Align::right},
               {"GUEST", Align::right},
               {"WAN", Align::right},
               {"LESS", Align::right}});
  for (const auto& each : list.migrations) {
    if (!has_moved(each)) continue;
    const auto crossing = crossing_of(each);
    table.add({name_of(each, names), where(each), duration_text(each.cost.total_s),
               duration_text(each.cost.downtime_ms / 1e3), bytes_text(crossing.guest_bytes),
               bytes_text(crossing.wan.memory + crossing.wan.disk), ratio_text(crossing)});
  }
  return table.empty() ? "" : table.text();
}

}  // namespace

std::string outcomes_text(const wire::MigrationList& list, const Names& names) {
  const bool alone = list.migrations.size() == 1;
  std::string out = alone ? "" : moved_table(list, names);
  for (const auto& each : list.migrations) {
    if (alone || !has_moved(each)) out += sentence(each, names);
    if (!has_moved(each) || each.error.empty()) continue;
    out += fmt::format("  ! {}{}\n", alone ? "" : printable(name_of(each, names)) + ": ", printable(each.error));
  }
  const auto crossed = crossing_table(crossing_of(list.migrations));
  return crossed.empty() ? out : out + "\n" + crossed;
}

}  // namespace godwit::cli
