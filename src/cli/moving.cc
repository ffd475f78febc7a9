#include "cli/moving.h"

#include "cli/outcome.h"
#include "cli/progress.h"
#include "cli/views.h"
#include "cli/watching.h"

#include <CLI/CLI.hpp>

namespace godwit::cli {
namespace {

constexpr Seconds kMoveLimit{24 * 3600};  // a migration has a limit of its own

bool is_moved(const wire::MigrationReport& report) {
  return report.phase == wire::MigrationPhase::completed || report.phase == wire::MigrationPhase::owned;
}

Result<> judge(const wire::MigrationList& list, const std::map<std::string, std::string>& names) {
  std::string failed;
  std::string doubtful;
  for (const auto& each : list.migrations) {
    if (is_moved(each)) continue;
    const auto name = names.find(each.instance);
    auto& which = each.phase == wire::MigrationPhase::in_doubt ? doubtful : failed;
    which += (which.empty() ? "" : ", ") + (name == names.end() ? each.instance : name->second);
    if (!each.error.empty()) which += " (" + each.error + ")";
  }
  if (!doubtful.empty()) {
    return fail(Errc::in_doubt, "migrate: {} in doubt{}", doubtful, failed.empty() ? "" : ", and not moved: " + failed);
  }
  if (!failed.empty()) return fail(Errc::cancelled, "migrate: not moved: {}", failed);
  return {};
}

}  // namespace

void add_move_options(CLI::App& verb, MoveOptions& options) {
  auto& wanted = options.request.options;
  verb.add_option("--to", options.request.to_cloud, "The cloud to move to")->required();
  verb.add_flag("--no-wait", options.no_wait, "Return when it is recorded; `godwit migration list` shows how it goes");
  verb.add_option("--encoding", wanted.encoding,
                  "How it crosses: shrink, zstd, dedup, plain (the first that both hosts know)");
  verb.add_option("--downtime", wanted.downtime_limit_ms, "Pause that QEMU may plan for, in ms")
      ->check(CLI::Range(1, 60'000))
      ->capture_default_str()
      ->group("Tuning");
  verb.add_option("--max-rate", options.max_mbit_per_s, "Mbit/s at most (default: as fast as the link)")
      ->check(CLI::NonNegativeNumber)
      ->group("Tuning");
  verb.add_option("--give-up-after", wanted.give_up_after_s, "Seconds without convergence")
      ->capture_default_str()
      ->group("Tuning");
  verb.add_flag("--no-auto-converge", options.no_auto_converge, "Never slow the guest down")->group("Tuning");
  verb.add_flag(
          "--post-copy", wanted.post_copy,
          "As the last resort, where the destination's QEMU may: start there before all memory is there. Until the "
          "rest has come, the loss of either host costs the memory (not the disk)")
      ->group("Tuning");
}

sys::Task<Result<>> move(Session& session, SkyClient sky, std::string path, MoveOptions options) {
  options.request.options.auto_converge = !options.no_auto_converge;
  options.request.options.max_bytes_per_s = static_cast<std::uint64_t>(options.max_mbit_per_s * 1e6 / 8);
  const auto drawn = co_await sky.post<wire::MigrationList>(path, options.request);
  if (!drawn) co_return pass(drawn);
  if (drawn->migrations.empty() || options.no_wait) {
    if (session.json()) {
      session.print_json(*drawn);
    } else if (drawn->migrations.empty()) {
      session.terminal().out("Nothing to move: every member is at " + options.request.to_cloud + " already.\n");
    } else {
      session.terminal().out(migrations_text(*drawn, {}, session.clock().wall_now()));
    }
    co_return Result<>{};
  }
  co_return co_await await_migrations(session, sky, *drawn);
}

sys::Task<Result<>> await_migrations(Session& session, SkyClient sky, wire::MigrationList list) {
  const auto clusters = co_await sky.get<wire::ClusterList>("/v1/clusters");
  if (!clusters) co_return pass(clusters);
  const auto names = member_names(*clusters);
  std::map<std::string, std::string> query;
  for (const auto& each : list.migrations) query["ids"] += (query["ids"].empty() ? "" : ",") + each.id;

  const auto progress = std::make_shared<MigrationProgress>(session.terminal(), session.clock(), names);
  const auto latest = std::make_shared<wire::MigrationList>(std::move(list));
  const bool quiet = session.json();
  std::function<bool(const wire::MigrationReport&)> note = [progress, latest,
                                                            quiet](const wire::MigrationReport& report) {
    if (!quiet) progress->show(report);
    for (auto& each : latest->migrations) {
      if (each.id == report.id) each = report;
    }
    return false;  // sky ends the watch when all have ended
  };
  const auto watched = co_await watch_until<wire::MigrationReport>(sky, session.clock(), "/v1/migrations", query,
                                                                   kMoveLimit, "migrate", std::move(note));
  if (!watched) co_return watched;
  if (quiet) session.print_json(*latest);
  if (!quiet) session.terminal().out(outcomes_text(*latest, names));
  co_return judge(*latest, names);
}

}  // namespace godwit::cli
