#include "migrate/side.h"

namespace godwit::migrate {

sys::Task<void> destroy(Context& context, Log log, std::string instance, std::string_view what) {
  for (;;) {
    const auto destroyed = co_await context.guests.destroy(instance);
    if (destroyed) co_return;
    log.error("delete {}: {}", what, destroyed.error().message);
    co_await context.runtime.clock.sleep_for(kActAgain);
  }
}

void forget(Context& context, const Log& log, Record& record) {
  if (!record.ballot.carried_out || record.forgotten) return;
  record.forgotten = true;
  const auto saved = context.records.save(record);
  if (saved) return;
  log.error("{}", saved.error().message);
  record.forgotten = false;  // it is told again, and forgotten then
}

wire::MigrationReport report_of(const Record& record) {
  wire::MigrationReport report;
  report.id = record.id;
  report.instance = record.spec.id;
  report.role = record.role;
  report.from_cloud = record.source.cloud;
  report.from_host = record.source.host;
  report.to_cloud = record.destination.cloud;
  report.to_host = record.destination.host;
  report.cost = record.cost;
  report.error = record.error;
  report.started_ms = record.started_ms;
  return report;
}

}  // namespace godwit::migrate
