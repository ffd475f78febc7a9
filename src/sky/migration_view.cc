#include "sky/migration_view.h"

#include <algorithm>

namespace godwit::sky {
namespace {

using wire::MigrationPhase;
using wire::MigrationReport;

MigrationPhase phase_of(const MigrationReport& known, const std::optional<MigrationReport>& source,
                        const std::optional<MigrationReport>& destination) {
  if (source && source->phase == MigrationPhase::completed) return MigrationPhase::completed;
  if ((destination && has_arrived(destination->phase)) || has_arrived(known.phase)) return MigrationPhase::owned;
  if (destination && destination->phase == MigrationPhase::post_copy) return MigrationPhase::post_copy;
  if (source && source->phase == MigrationPhase::aborted) return MigrationPhase::aborted;
  if (source && source->phase == MigrationPhase::in_doubt) return MigrationPhase::in_doubt;
  if (destination && destination->phase == MigrationPhase::in_doubt) return MigrationPhase::in_doubt;
  return source ? source->phase : known.phase;
}

void keep_ids(MigrationReport& report, const MigrationReport& known) {
  report.id = known.id;
  report.instance = known.instance;
  report.role = wire::MigrationRole::source;
  report.from_cloud = known.from_cloud;
  report.to_cloud = known.to_cloud;
  if (report.from_host.empty()) report.from_host = known.from_host;
  if (report.to_host.empty()) report.to_host = known.to_host;
  if (known.started_ms) report.started_ms = known.started_ms;
}

}  // namespace

MigrationReport combine(const MigrationReport& known, const std::optional<MigrationReport>& source,
                        const std::optional<MigrationReport>& destination) {
  MigrationReport report = source ? *source : known;
  keep_ids(report, known);
  report.phase = phase_of(known, source, destination);
  if (destination) {
    if (!destination->to_host.empty()) report.to_host = destination->to_host;
    if (report.error.empty()) report.error = destination->error;
    if (report.cost.total_s == 0) report.cost.total_s = destination->cost.total_s;
    if (report.cost.downtime_ms == 0) report.cost.downtime_ms = destination->cost.downtime_ms;
  }
  if (has_arrived(report.phase) && !source) report.error = known.error;
  return report;
}

}  // namespace godwit::sky
