#include "cli/commands.h"
#include "cli/moving.h"
#include "cli/progress.h"
#include "cli/views.h"
#include "cli/watching.h"

#include <CLI/CLI.hpp>

namespace godwit::cli {
namespace {

constexpr std::size_t kKeyFileLimit = 16UL * 1024;
constexpr std::size_t kSpecLimit = 1024UL * 1024;

struct CreateOptions {
  wire::ClusterSpec spec;
  std::vector<std::string> members;
  std::vector<std::string> key_files;
  std::string user_data_file;
  std::string spec_file;
  bool wait{false};
  std::uint32_t timeout_s{900};
};

struct WaitOptions {
  std::string name;
  std::string what{"ready"};
  std::uint32_t timeout_s{900};
};

struct DeleteOptions {
  std::string name;
  bool yes{false};
  bool wait{false};
  std::uint32_t timeout_s{300};
};

// "head=head,worker@cloud-a": name, roles, cloud.
wire::MemberSpec member_of(std::string_view text) {
  wire::MemberSpec member;
  if (const auto at = text.rfind('@'); at != std::string_view::npos) {
    member.cloud = text.substr(at + 1);
    text = text.substr(0, at);
  }
  const auto equals = std::min(text.find('='), text.size());
  member.name = text.substr(0, equals);
  text.remove_prefix(std::min(equals + 1, text.size()));
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    member.roles.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return member;
}

// The lines of a file of public keys.
Result<> add_keys(Session& session, const std::string& path, std::vector<std::string>& keys) {
  const auto text = session.read(path, kKeyFileLimit);
  if (!text) return fail(text, "--ssh-key");
  if (text->find("PRIVATE KEY") != std::string::npos) {
    return fail(Errc::invalid_argument, "--ssh-key {}: that is a private key (give the .pub beside it)", path);
  }
  std::string_view rest = *text;
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto line = rest.substr(0, end);
    if (!line.empty() && line[0] != '#') keys.emplace_back(line.substr(0, line.find_last_not_of("\r ") + 1));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

Result<wire::ClusterSpec> spec_of(Session& session, const CreateOptions& options) {
  auto spec = options.spec;
  if (!options.spec_file.empty()) {
    const auto text = session.read(options.spec_file, kSpecLimit);
    if (!text) return fail(text, "--file");
    auto read = wire::decode<wire::ClusterSpec>(*text);
    if (!read) return fail(read, "--file " + options.spec_file);
    read->name = spec.name;
    return std::move(*read);
  }
  for (const auto& member : options.members) spec.members.push_back(member_of(member));
  if (spec.size == 0 && spec.members.empty()) {
    return fail(Errc::invalid_argument, "cluster create {}: how many members? (--size 4, or --member NAME for each)",
                spec.name);
  }
  for (const auto& path : options.key_files) {
    const auto added = add_keys(session, path, spec.ssh_keys);
    if (!added) return pass(added);
  }
  if (!options.user_data_file.empty()) {
    auto text = session.read(options.user_data_file, wire::kUserDataLimit);
    if (!text) return fail(text, "--user-data");
    spec.user_data = std::move(*text);
  }
  return spec;
}

// Until it is `what`, "ready" or "deleted". Gives the last view.
sys::Task<Result<wire::ClusterView>> await_cluster(Session& session, SkyClient sky, std::string name, std::string what,
                                                   Seconds limit) {
  const auto progress = std::make_shared<ClusterProgress>(session.terminal(), session.clock());
  const auto last = std::make_shared<wire::ClusterView>();
  const auto target = what == "deleted" ? wire::ClusterState::deleted : wire::ClusterState::ready;
  const bool quiet = session.json();
  std::function<bool(const wire::ClusterView&)> note = [progress, last, target, quiet](const wire::ClusterView& view) {
    if (!quiet) progress->show(view);
    *last = view;
    return view.state == target;
  };
  const auto watched = co_await watch_until<wire::ClusterView>(sky, session.clock(), "/v1/clusters/" + name, {}, limit,
                                                               "wait for cluster " + name, std::move(note));
  if (!watched) {
    std::string problems;
    for (const auto& problem : last->problems) problems += "; " + problem;
    co_return fail(watched.error().code, "{}{}", watched.error().message, problems);
  }
  if (last->state != target) co_return fail(Errc::not_found, "cluster {}: it was deleted", name);
  co_return *last;
}

sys::Task<Result<>> create(Session& session, CreateOptions options) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto spec = spec_of(session, options);
  if (!spec) co_return pass(spec);
  if (spec->ssh_keys.empty() && !session.json()) {
    session.terminal().err("note: without --ssh-key only the members themselves can log in to the members\n");
  }
  auto view = co_await sky->post<wire::ClusterView>("/v1/clusters", *spec);
  if (!view) co_return pass(view);
  if (options.wait) {
    view = co_await await_cluster(session, *sky, spec->name, "ready", Seconds{options.timeout_s});
    if (!view) co_return pass(view);
  }
  session.print(*view, cluster_text(*view, session.clock().wall_now()));
  co_return Result<>{};
}

sys::Task<Result<>> list(Session& session) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto clusters = co_await sky->get<wire::ClusterList>("/v1/clusters");
  if (!clusters) co_return pass(clusters);
  session.print(*clusters, clusters_text(*clusters, session.clock().wall_now()));
  co_return Result<>{};
}

sys::Task<Result<>> show(Session& session, std::string name) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto view = co_await sky->get<wire::ClusterView>("/v1/clusters/" + name);
  if (!view) co_return pass(view);
  session.print(*view, cluster_text(*view, session.clock().wall_now()));
  co_return Result<>{};
}

sys::Task<Result<>> wait(Session& session, WaitOptions options) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto view = co_await await_cluster(session, *sky, options.name, options.what, Seconds{options.timeout_s});
  if (!view && view.error().code == Errc::not_found && options.what == "deleted") co_return Result<>{};
  if (!view) co_return pass(view);
  if (session.json()) session.print_json(*view);
  co_return Result<>{};
}

sys::Task<Result<>> erase(Session& session, DeleteOptions options) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  auto view = co_await sky->get<wire::ClusterView>("/v1/clusters/" + options.name);
  if (!view) co_return pass(view);
  const auto question =
      fmt::format("Delete cluster {}: {} instances and their disks?", options.name, view->members.size());
  const bool asked = session.terminal().in_is_terminal() && !options.yes && !session.json();
  if (asked && !confirm(session.terminal(), question)) co_return fail(Errc::cancelled, "nothing was deleted");
  view = co_await sky->remove<wire::ClusterView>("/v1/clusters/" + options.name);
  if (!view) co_return pass(view);
  if (options.wait) {
    auto ended = co_await await_cluster(session, *sky, options.name, "deleted", Seconds{options.timeout_s});
    if (!ended && ended.error().code != Errc::not_found) co_return pass(ended);
    view->state = wire::ClusterState::deleted;
  }
  session.print(*view, fmt::format("Cluster {} is {}.\n", options.name, options.wait ? "gone" : "being deleted"));
  co_return Result<>{};
}

sys::Task<Result<>> migrate(Session& session, std::string name, MoveOptions options) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  co_return co_await move(session, *sky, "/v1/clusters/" + name + "/migrate", options);
}

void add_create(CLI::App& noun, const Choose& choose) {
  const auto wanted = std::make_shared<CreateOptions>();
  auto& spec = wanted->spec;
  CLI::App* verb = add_verb(
      noun, choose, "create", "Make a cluster; asking again for the same one changes nothing",
      "cluster create demo --size 4 --cloud cloud-a --cloud cloud-b --ssh-key ~/.ssh/id_ed25519.pub --wait\n"
      "cluster create mpi --member head=head@cloud-a --member node-1=worker --member node-2=worker --type t3.small\n"
      "cluster create demo --file cluster.json --wait --json",
      [wanted](Session& session) { return create(session, *wanted); });
  verb->add_option("name", spec.name, "Its name; its network's names end in .NAME.internal")->required();
  verb->add_option("--size", spec.size, "How many members, named NAME-1, NAME-2, …");
  verb->add_option("--member", wanted->members, "One member: NAME[=ROLE,ROLE][@CLOUD]; may be repeated")
      ->allow_extra_args(false);
  verb->add_option("--cloud", spec.clouds, "A cloud to spread over, in turn; may be repeated (default: all accounts)")
      ->allow_extra_args(false);
  verb->add_option("--type", spec.type, "The members' instance type")->capture_default_str();
  verb->add_option("--image", spec.image, "The members' image")->capture_default_str();
  verb->add_option("--ssh-key", wanted->key_files, "A file of public keys that may log in; may be repeated")
      ->allow_extra_args(false);
  verb->add_option("--user-data", wanted->user_data_file, "A file for cloud-init: #cloud-config, a script, or MIME");
  verb->add_option("--cidr", spec.cidr, "Its network's addresses (default: a free 10.64.0.0/10 network)");
  verb->add_option("--security-group", spec.security_groups,
                   "A group that its members are in; may be repeated (default: default)")
      ->allow_extra_args(false);
  verb->add_option("--file", wanted->spec_file, "All of the above as JSON, as docs/api/sky.yaml has it");
  verb->add_flag("--wait", wanted->wait, "Until every member is ready");
  verb->add_option("--timeout", wanted->timeout_s, "Seconds to wait at most")->capture_default_str();
}

void add_lifecycle(CLI::App& noun, const Choose& choose) {
  const auto waited = std::make_shared<WaitOptions>();
  CLI::App* verb =
      add_verb(noun, choose, "wait", "Wait until a cluster is ready, or gone", "cluster wait demo --timeout 300",
               [waited](Session& session) { return wait(session, *waited); });
  verb->add_option("name", waited->name, "The cluster")->required();
  verb->add_option("--for", waited->what, "ready or deleted")
      ->check(CLI::IsMember({"ready", "deleted"}))
      ->capture_default_str();
  verb->add_option("--timeout", waited->timeout_s, "Seconds to wait at most")->capture_default_str();

  const auto doomed = std::make_shared<DeleteOptions>();
  verb = add_verb(noun, choose, "delete", "Terminate a cluster's instances and remove its network",
                  "cluster delete demo --wait", [doomed](Session& session) { return erase(session, *doomed); });
  verb->add_option("name", doomed->name, "The cluster")->required();
  verb->add_flag("-y,--yes", doomed->yes, "Do not ask");
  verb->add_flag("--wait", doomed->wait, "Until nothing is left of it");
  verb->add_option("--timeout", doomed->timeout_s, "Seconds to wait at most")->capture_default_str();
}

void add_migrate(CLI::App& noun, const Choose& choose) {
  const auto moved = std::make_shared<MoveOptions>();
  const auto name = std::make_shared<std::string>();
  CLI::App* verb = add_verb(
      noun, choose, "migrate", "Move members to another cloud while they run: one ahead, then up to four at a time",
      "cluster migrate demo --to cloud-b\ncluster migrate demo --to cloud-b --members demo-1,demo-3",
      [name, moved](Session& session) { return migrate(session, *name, *moved); });
  verb->add_option("name", *name, "The cluster")->required();
  verb->add_option("--members", moved->request.members, "Their names (default: all that are elsewhere)")
      ->delimiter(',');
  add_move_options(*verb, *moved);
}

}  // namespace

void add_cluster_commands(CLI::App& app, const Choose& choose) {
  CLI::App* noun = add_noun(app, "cluster", "Clusters over your clouds");
  add_create(*noun, choose);
  (void)add_verb(*noun, choose, "list", "Show all clusters", "cluster list", list);
  const auto name = std::make_shared<std::string>();
  CLI::App* verb = add_verb(*noun, choose, "show", "Show a cluster, its members and what is wrong with it",
                            "cluster show demo", [name](Session& session) { return show(session, *name); });
  verb->add_option("name", *name, "The cluster")->required();
  add_migrate(*noun, choose);
  add_lifecycle(*noun, choose);
}

}  // namespace godwit::cli
