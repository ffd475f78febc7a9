#include "cli/commands.h"
#include "cli/moving.h"
#include "cli/text.h"
#include "cli/views.h"
#include "wire/snapshot.h"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace godwit::cli {
namespace {

struct ListOptions {
  std::string cluster;
  std::string cloud;
};

struct FenceOptions {
  std::string instance;
  std::string migration;
  std::string winner;
  bool fence{false};
  bool yes{false};
};

struct Found {
  std::string cluster;
  wire::ClusterMember member;
};

// `word` is an id, CLUSTER/NAME, or a name that only one cluster has.
sys::Task<Result<Found>> find(SkyClient sky, std::string word) {
  const auto clusters = co_await sky.get<wire::ClusterList>("/v1/clusters");
  if (!clusters) co_return pass(clusters);
  std::vector<Found> found;
  for (const auto& cluster : clusters->clusters) {
    for (const auto& member : cluster.members) {
      const bool meant = word == member.instance || word == member.name || word == cluster.name + "/" + member.name;
      if (meant) found.push_back({cluster.name, member});
    }
  }
  if (found.size() == 1) co_return std::move(found.front());
  if (found.empty()) {
    co_return fail(Errc::not_found, "instance \"{}\": there is none (godwit instance list shows them)", word);
  }
  co_return fail(Errc::conflict, "instance \"{}\": {} clusters have one of that name (say {}/{})", word, found.size(),
                 found.front().cluster, word);
}

sys::Task<Result<>> list(Session& session, ListOptions options) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto clusters = co_await sky->get<wire::ClusterList>("/v1/clusters");
  if (!clusters) co_return pass(clusters);
  if (!session.json()) {
    session.terminal().out(instances_text(*clusters, options.cluster, options.cloud));
    co_return Result<>{};
  }
  wire::json::array members;
  for (const auto& cluster : clusters->clusters) {
    if (!options.cluster.empty() && cluster.name != options.cluster) continue;
    for (const auto& member : cluster.members) {
      if (!options.cloud.empty() && member.cloud != options.cloud) continue;
      auto each = wire::to_json(member);
      each.as_object()["cluster"] = cluster.name;
      members.push_back(std::move(each));
    }
  }
  session.print_json(wire::json::value(wire::json::object{{"instances", std::move(members)}}));
  co_return Result<>{};
}

sys::Task<Result<>> show(Session& session, std::string word) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto found = co_await find(*sky, word);
  if (!found) co_return pass(found);
  const auto view = co_await sky->get<wire::InstanceView>("/v1/instances/" + found->member.instance);
  if (!view) co_return pass(view);
  session.print(*view, instance_text(*view, session.clock().wall_now()));
  co_return Result<>{};
}

constexpr Seconds kLookEvery{1};

std::string_view words_of(wire::SnapshotPhase phase) {
  switch (phase) {
    case wire::SnapshotPhase::asked: return "its host is asked";
    case wire::SnapshotPhase::copying: return "its host copies the disk as it is now";
    case wire::SnapshotPhase::storing: return "its host makes an image of the copy";
    case wire::SnapshotPhase::sending: return "its host brings the image to its cloud";
    case wire::SnapshotPhase::stored: return "the cloud has the image";
    case wire::SnapshotPhase::done:
    case wire::SnapshotPhase::failed: break;
  }
  return "is over";
}

// Looks until it is over. Errors: why it failed.
sys::Task<Result<>> snapshot(Session& session, std::string word, std::string name) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto found = co_await find(*sky, word);
  if (!found) co_return pass(found);
  const auto path = "/v1/instances/" + found->member.instance + "/snapshot";
  const wire::SnapshotRequest request{"", name};
  auto seen = co_await sky->post<wire::SnapshotView>(path, request);
  std::string told;
  while (seen) {
    const auto phase = seen->phase;
    if (phase == wire::SnapshotPhase::failed) {
      co_return fail(Errc::io, "snapshot of {}: {}", found->member.name, seen->problem);
    }
    if (phase == wire::SnapshotPhase::done) {
      session.print(*seen, fmt::format("{} is an image of {}'s disk at {}. `godwit image pull {}` brings it here.\n",
                                       name, found->member.name, seen->cloud, name));
      co_return Result<>{};
    }
    auto line = fmt::format("{}: {}{}{}\n", found->member.name, words_of(phase), seen->problem.empty() ? "" : ": ",
                            printable(seen->problem));
    if (!session.json() && line != told) session.terminal().err(line);
    told = std::move(line);
    co_await session.clock().sleep_for(kLookEvery);
    const auto all = co_await sky->get<wire::SnapshotList>("/v1/snapshots");
    if (!all) co_return pass(all);
    const auto mine = std::ranges::find(all->snapshots, seen->id, &wire::SnapshotView::id);
    if (mine != all->snapshots.end()) seen = *mine;  // else its cloud can't be asked just now
  }
  co_return pass(seen);
}

sys::Task<Result<>> terminate(Session& session, std::string word, bool yes) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto found = co_await find(*sky, word);
  if (!found) co_return pass(found);
  const auto question = fmt::format("Terminate {} ({}) and its disk?", found->member.name, found->member.instance);
  const bool asked = session.terminal().in_is_terminal() && !yes && !session.json();
  if (asked && !confirm(session.terminal(), question)) co_return fail(Errc::cancelled, "nothing was terminated");
  const auto ended = co_await sky->remove<wire::json::value>("/v1/instances/" + found->member.instance);
  if (!ended) co_return pass(ended);
  session.print(found->member, found->member.name + " is being terminated, and leaves its cluster.\n");
  co_return Result<>{};
}

sys::Task<Result<>> migrate(Session& session, std::string word, MoveOptions options) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto found = co_await find(*sky, word);
  if (!found) co_return pass(found);
  co_return co_await move(session, *sky, "/v1/instances/" + found->member.instance + "/migrate", options);
}

// The last migration of the instance, or the one that was named.
sys::Task<Result<wire::MigrationReport>> last_migration(SkyClient sky, std::string instance, std::string migration) {
  const auto list = co_await sky.get<wire::MigrationList>("/v1/migrations");
  if (!list) co_return pass(list);
  for (const auto& each : list->migrations) {
    if (each.instance == instance && (migration.empty() || each.id == migration)) co_return each;
  }
  co_return fail(Errc::not_found, "resolve {}: it has no migration{}", instance,
                 migration.empty() ? ", so there is nothing to decide" : " " + migration);
}

void explain(Session& session, const wire::MigrationReport& report, const std::string& name) {
  session.terminal().out(migration_text(report, name));
  const bool open = report.phase == wire::MigrationPhase::in_doubt;
  session.terminal().out(fmt::format(
      "\n{}\n"
      "A fence decides in place of a side that is gone for good. First make sure that the other side does not\n"
      "run the instance and never will (power it off); then say who has it:\n"
      "  godwit instance resolve {} --fence --winner source        it stays at {}\n"
      "  godwit instance resolve {} --fence --winner destination   it is at {}\n",
      open ? "It is in doubt: nobody who can be reached knows which side owns it."
           : "It is not in doubt: wait, and the two sides decide by themselves.",
      report.instance, report.from_cloud, report.instance, report.to_cloud));
}

sys::Task<Result<>> resolve(Session& session, FenceOptions options) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto found = co_await find(*sky, options.instance);
  if (!found) co_return pass(found);
  const auto report = co_await last_migration(*sky, found->member.instance, options.migration);
  if (!report) co_return pass(report);
  if (!options.fence) {
    if (session.json()) {
      session.print_json(*report);
    } else {
      explain(session, *report, found->member.name);
    }
    co_return Result<>{};
  }
  if (options.winner.empty()) {
    co_return fail(Errc::invalid_argument, "resolve {}: say who has it: --winner source, or --winner destination",
                   found->member.instance);
  }
  const bool source_wins = options.winner == "source";
  const auto question =
      fmt::format("{} ({}) shall run at {} alone. Is it certain that {} does not run it, and never will?",
                  found->member.name, found->member.instance, source_wins ? report->from_cloud : report->to_cloud,
                  source_wins ? report->to_cloud : report->from_cloud);
  if (!options.yes && !confirm(session.terminal(), question)) {
    co_return fail(Errc::cancelled, "resolve {}: nothing was decided (a person must confirm it, or --yes)",
                   found->member.instance);
  }
  const wire::FenceRequest fence{report->id,
                                 source_wins ? wire::MigrationRole::source : wire::MigrationRole::destination};
  const auto told =
      co_await sky->post<wire::FenceAnswer>("/v1/instances/" + found->member.instance + "/resolve", fence);
  if (!told) co_return pass(told);
  if (session.json()) {
    session.print_json(*told);
    co_return Result<>{};
  }
  for (const auto& cloud : told->told) session.terminal().out(cloud + " has written the decision down.\n");
  for (const auto& [cloud, problem] : told->problems) {
    session.terminal().out(cloud + " could not be told: " + problem + "\n");
  }
  co_return Result<>{};
}

void add_looking(CLI::App& noun, const Choose& choose) {
  const auto listed = std::make_shared<ListOptions>();
  CLI::App* verb = add_verb(noun, choose, "list", "Show the instances of all clusters", "instance list --cloud cloud-a",
                            [listed](Session& session) { return list(session, *listed); });
  verb->add_option("--cluster", listed->cluster, "Of this cluster only");
  verb->add_option("--cloud", listed->cloud, "At this cloud only");

  const auto shown = std::make_shared<std::string>();
  verb = add_verb(noun, choose, "show", "Show an instance as its cloud has it",
                  "instance show demo-1\ninstance show demo/demo-1",
                  [shown](Session& session) { return show(session, *shown); });
  verb->add_option("instance", *shown, "Its id, its name, or CLUSTER/NAME")->required();
}

void add_acting(CLI::App& noun, const Choose& choose) {
  const auto moved = std::make_shared<MoveOptions>();
  const auto which = std::make_shared<std::string>();
  CLI::App* verb =
      add_verb(noun, choose, "migrate", "Move an instance to another cloud while it runs",
               "instance migrate demo-1 --to cloud-b\ninstance migrate i-0123456789abcdef0 --to cloud-b --json",
               [which, moved](Session& session) { return migrate(session, *which, *moved); });
  verb->add_option("instance", *which, "Its id, its name, or CLUSTER/NAME")->required();
  add_move_options(*verb, *moved);

  const auto image = std::make_shared<std::string>();
  verb = add_verb(noun, choose, "snapshot", "Make an image of an instance's disk, as it is now",
                  "instance snapshot demo-1 web-2\ncluster create more --image web-2",
                  [which, image](Session& session) { return snapshot(session, *which, *image); });
  verb->add_option("instance", *which, "Its id, its name, or CLUSTER/NAME")->required();
  verb->add_option("name", *image, "Of the image, at the cloud where the instance runs")->required();

  const auto doomed = std::make_shared<std::string>();
  const auto yes = std::make_shared<bool>(false);
  verb = add_verb(noun, choose, "terminate", "End an instance; its cluster goes on without it",
                  "instance terminate demo-3",
                  [doomed, yes](Session& session) { return terminate(session, *doomed, *yes); });
  verb->add_option("instance", *doomed, "Its id, its name, or CLUSTER/NAME")->required();
  verb->add_flag("-y,--yes", *yes, "Do not ask");

  const auto fence = std::make_shared<FenceOptions>();
  verb = add_verb(noun, choose, "resolve",
                  "Say who has an instance that is in doubt, when a side of its migration is gone",
                  "instance resolve demo-1\ninstance resolve demo-1 --fence --winner destination",
                  [fence](Session& session) { return resolve(session, *fence); });
  verb->add_option("instance", fence->instance, "Its id, its name, or CLUSTER/NAME")->required();
  verb->add_flag("--fence", fence->fence, "Decide; without it, only shows what there is to decide");
  verb->add_option("--winner", fence->winner, "source or destination")->check(CLI::IsMember({"source", "destination"}));
  verb->add_option("--migration", fence->migration, "Of this migration (default: its last)");
  verb->add_flag("-y,--yes", fence->yes, "The losing side is dead for certain: do not ask");
}

}  // namespace

void add_instance_commands(CLI::App& app, const Choose& choose) {
  CLI::App* noun = add_noun(app, "instance", "The instances of your clusters");
  add_looking(*noun, choose);
  add_acting(*noun, choose);
}

}  // namespace godwit::cli
