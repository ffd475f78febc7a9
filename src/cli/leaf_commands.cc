#include "cli/commands.h"
#include "cli/wireguard_text.h"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace godwit::cli {
namespace {

constexpr Seconds kServedLimit{30};  // until its cloud has said which host serves it
constexpr Millis kLookEvery{250};

struct JoinOptions {
  std::string network;
  std::string name{"laptop"};
  std::string key;
  std::string cloud;
  bool wireguard{false};
};

const wire::LeafView* find(const wire::LeafList& list, const std::string& name) {
  const auto found = std::ranges::find(list.leaves, name, &wire::LeafView::name);
  return found == list.leaves.end() ? nullptr : &*found;
}

// Until a host serves it.
sys::Task<Result<wire::LeafList>> await_host(Session* session, SkyClient sky, std::string network, std::string name,
                                             wire::LeafList list) {
  const auto deadline = session->clock().now() + kServedLimit;
  for (;;) {
    const auto* leaf = find(list, name);
    if (!leaf) co_return fail(Errc::not_found, "network {}: {} has left it again", network, name);
    if (!leaf->host.empty()) co_return list;
    if (session->clock().now() >= deadline) {
      co_return fail(Errc::timed_out, "network {}: no host serves {} within {} s: {}", network, name,
                     kServedLimit.count(), leaf->problem);
    }
    co_await session->clock().sleep_for(kLookEvery);
    auto again = co_await sky.get<wire::LeafList>("/v1/networks/" + network + "/leaves");
    if (!again) co_return pass(again);
    list = std::move(*again);
  }
}

sys::Task<Result<>> join(Session& session, JoinOptions options) {
  if (!options.wireguard) {
    co_return fail(Errc::invalid_argument, "network join {}: say how: --wireguard", options.network);
  }
  // Made here, and told nobody.
  const auto own = crypto::KeyPair::generate(session.random());
  const bool made = options.key.empty();
  const auto key = made ? Result<crypto::PublicKey>(own.public_key()) : parse_wireguard_key(options.key);
  if (!key) co_return pass(key);
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const wire::LeafRequest request{options.name, to_hex(*key), options.cloud};
  const auto path = "/v1/networks/" + options.network;
  auto joined = co_await sky->post<wire::LeafList>(path + "/join", request);
  if (!joined) co_return pass(joined);
  const auto served = co_await await_host(&session, *sky, options.network, options.name, std::move(*joined));
  if (!served) {
    // Nobody would have the key of a member that stayed.
    const wire::LeaveRequest undo{options.name};
    if (made) [[maybe_unused]]
      const auto left = co_await sky->post<wire::LeafList>(path + "/leave", undo);
    co_return pass(served);
  }
  const auto& leaf = *find(*served, options.name);
  const auto text =
      wg_quick_text(served->network, leaf, made ? wireguard_key_text(own.secret().bytes()) : std::string());
  if (!session.json()) {
    session.terminal().out(text);
    co_return Result<>{};
  }
  auto message = wire::to_json(leaf);
  message.as_object()["configuration"] = text;
  session.print_json(message);
  co_return Result<>{};
}

sys::Task<Result<>> leave(Session& session, std::string network, std::string name) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const wire::LeaveRequest request{name};
  const auto left = co_await sky->post<wire::LeafList>("/v1/networks/" + network + "/leave", request);
  if (!left) co_return pass(left);
  session.print(*left, name + " has left the network.\n");
  co_return Result<>{};
}

sys::Task<Result<>> leaves(Session& session, std::string network) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto list = co_await sky->get<wire::LeafList>("/v1/networks/" + network + "/leaves");
  if (!list) co_return pass(list);
  session.print(*list, leaves_text(*list));
  co_return Result<>{};
}

}  // namespace

void add_leaf_commands(CLI::App& network, const Choose& choose) {
  const auto wanted = std::make_shared<JoinOptions>();
  CLI::App* verb =
      add_verb(network, choose, "join", "Make your WireGuard a member, and print its configuration for wg-quick",
               "network join demo --wireguard > demo.conf\n"
               "network join demo --wireguard --name office --key \"$(wg pubkey < office.key)\"",
               [wanted](Session& session) { return join(session, *wanted); });
  verb->add_option("network", wanted->network, "Its id, or its cluster's name")->required();
  verb->add_flag("--wireguard", wanted->wireguard, "By WireGuard");
  verb->add_option("--name", wanted->name, "Its name there")->capture_default_str();
  verb->add_option("--key", wanted->key,
                   "Its public key (default: a key is made here, and its private half is in what is printed)");
  verb->add_option("--cloud", wanted->cloud,
                   "Which of the cluster's clouds serves it (default: where most members are)");
  const auto left = std::make_shared<std::pair<std::string, std::string>>();
  verb = add_verb(network, choose, "leave", "End the membership of a WireGuard", "network leave demo laptop",
                  [left](Session& session) { return leave(session, left->first, left->second); });
  verb->add_option("network", left->first, "Its id, or its cluster's name")->required();
  verb->add_option("name", left->second, "The member")->required();
  const auto listed = std::make_shared<std::string>();
  verb = add_verb(network, choose, "leaves", "Show whose WireGuard has joined", "network leaves demo",
                  [listed](Session& session) { return leaves(session, *listed); });
  verb->add_option("network", *listed, "Its id, or its cluster's name")->required();
}

}  // namespace godwit::cli
