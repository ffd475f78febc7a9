#include "cli/commands.h"
#include "cli/moving.h"
#include "cli/views.h"

#include <CLI/CLI.hpp>

namespace godwit::cli {
namespace {

struct IdOptions {
  std::string id;
  bool wait{false};
};

sys::Task<Result<std::map<std::string, std::string>>> names_of(SkyClient sky) {
  const auto clusters = co_await sky.get<wire::ClusterList>("/v1/clusters");
  if (!clusters) co_return pass(clusters);
  co_return member_names(*clusters);
}

sys::Task<Result<>> list(Session& session) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto migrations = co_await sky->get<wire::MigrationList>("/v1/migrations");
  if (!migrations) co_return pass(migrations);
  if (session.json()) {
    session.print_json(*migrations);
    co_return Result<>{};
  }
  const auto names = co_await names_of(*sky);
  if (!names) co_return pass(names);
  session.terminal().out(migrations_text(*migrations, *names, session.clock().wall_now()));
  co_return Result<>{};
}

sys::Task<Result<>> show(Session& session, IdOptions options) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto report = co_await sky->get<wire::MigrationReport>("/v1/migrations/" + options.id);
  if (!report) co_return pass(report);
  if (options.wait) {
    wire::MigrationList one;
    one.migrations.push_back(*report);
    co_return co_await await_migrations(session, *sky, std::move(one));
  }
  if (session.json()) {
    session.print_json(*report);
    co_return Result<>{};
  }
  const auto names = co_await names_of(*sky);
  if (!names) co_return pass(names);
  const auto name = names->find(report->instance);
  session.terminal().out(migration_text(*report, name == names->end() ? "" : name->second));
  co_return Result<>{};
}

sys::Task<Result<>> cancel(Session& session, std::string id) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto report = co_await sky->post<wire::MigrationReport>("/v1/migrations/" + id + "/cancel",
                                                                wire::json::value(wire::json::object()));
  if (!report) co_return pass(report);
  session.print(*report, fmt::format("{} is being cancelled: the instance stays at {} unless it has left already.\n",
                                     report->id, report->from_cloud));
  co_return Result<>{};
}

}  // namespace

void add_migration_commands(CLI::App& app, const Choose& choose) {
  CLI::App* noun = add_noun(app, "migration", "Migrations: under way, and the last that ended");
  (void)add_verb(*noun, choose, "list", "Show migrations, newest first", "migration list", list);

  const auto shown = std::make_shared<IdOptions>();
  CLI::App* verb = add_verb(*noun, choose, "show", "Show a migration", "migration show mig-0123456789abcdef0 --wait",
                            [shown](Session& session) { return show(session, *shown); });
  verb->add_option("migration", shown->id, "Its id")->required();
  verb->add_flag("--wait", shown->wait, "Follow it to its end");

  const auto doomed = std::make_shared<std::string>();
  verb = add_verb(*noun, choose, "cancel", "Stop a migration: the instance runs on where it is",
                  "migration cancel mig-0123456789abcdef0",
                  [doomed](Session& session) { return cancel(session, *doomed); });
  verb->add_option("migration", *doomed, "Its id")->required();
}

}  // namespace godwit::cli
