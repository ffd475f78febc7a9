#include "cli/commands.h"
#include "cli/views.h"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace godwit::cli {
namespace {

sys::Task<Result<>> hosts(Session& session) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto list = co_await sky->get<wire::CloudHostsList>("/v1/hosts");
  if (!list) co_return pass(list);
  session.print(*list, hosts_text(*list, session.clock().wall_now()));
  co_return Result<>{};
}

sys::Task<Result<>> networks(Session& session) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto list = co_await sky->get<wire::NetworkList>("/v1/networks");
  if (!list) co_return pass(list);
  session.print(*list, networks_text(*list));
  co_return Result<>{};
}

sys::Task<Result<>> network(Session& session, std::string word) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto list = co_await sky->get<wire::NetworkList>("/v1/networks");
  if (!list) co_return pass(list);
  const auto found = std::find_if(list->networks.begin(), list->networks.end(),
                                  [&](const wire::Network& each) { return each.id == word || each.name == word; });
  if (found == list->networks.end()) {
    co_return fail(Errc::not_found, "network \"{}\": there is none (godwit network list shows them)", word);
  }
  session.print(*found, network_text(*found));
  co_return Result<>{};
}

}  // namespace

void add_listing_commands(CLI::App& app, const Choose& choose) {
  (void)add_verb(*add_noun(app, "host", "Hosts of your clouds"), choose, "list",
                 "Show the hosts of the clouds that let you see them", "host list", hosts);
  CLI::App* noun = add_noun(app, "network", "The networks of your clusters");
  (void)add_verb(*noun, choose, "list", "Show all networks", "network list", networks);
  const auto which = std::make_shared<std::string>();
  CLI::App* verb = add_verb(*noun, choose, "show", "Show a network's members, and where each of them is",
                            "network show demo", [which](Session& session) { return network(session, *which); });
  verb->add_option("network", *which, "Its id, or its cluster's name")->required();
  add_observation_commands(*noun, choose);
  add_leaf_commands(*noun, choose);
}

}  // namespace godwit::cli
