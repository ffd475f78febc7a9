#include "cli/commands.h"
#include "cli/observation_views.h"
#include "sys/lines.h"
#include "wire/switch_control.h"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace godwit::cli {
namespace {

constexpr Seconds kRefresh{5};  // a switch's interval
constexpr std::size_t kSwitchLine = std::size_t{4} << 20U;
constexpr std::string_view kClearScreen = "\x1b[H\x1b[2J";

struct Where {
  std::string network;
  std::string switch_socket;  // instead of sky, on a host
  bool once{false};
};

sys::Task<Result<wire::SwitchReply>> ask_switch(sys::LocalSockets* local, std::string path, wire::SwitchOp op) {
  auto stream = co_await local->dial(path);
  if (!stream) co_return fail(stream, "the switch at " + path);
  wire::SwitchRequest request;
  request.op = op;
  const auto asked = wire::encode(request) + "\n";
  const auto sent = co_await (*stream)->write(as_bytes(asked));
  if (!sent) co_return fail(sent, "the switch at " + path);
  sys::LineReader lines(**stream, kSwitchLine);
  const auto line = co_await lines.next();
  if (!line) co_return fail(line, "the switch at " + path);
  auto reply = wire::decode<wire::SwitchReply>(*line, kSwitchLine);
  if (!reply) co_return fail(reply, "the switch at " + path);
  if (!reply->error.empty()) co_return fail(Errc::internal, "the switch at {}: {}", path, reply->error);
  co_return std::move(*reply);
}

// What one host's switch says; of one network where one was named.
sys::Task<Result<wire::NetworkObservation>> of_switch(Session* session, Where where) {
  auto seen = co_await ask_switch(&session->local(), where.switch_socket, wire::SwitchOp::observe);
  if (!seen) co_return pass(seen);
  if (!seen->observation) co_return fail(Errc::unsupported, "the switch at {}: observes nothing", where.switch_socket);
  const auto known = co_await ask_switch(&session->local(), where.switch_socket, wire::SwitchOp::locations);
  if (!known) co_return pass(known);
  wire::NetworkObservation out;
  out.hosts.push_back(std::move(*seen->observation));
  for (const auto& each : known->networks) {
    if (where.network.empty() || each.id == where.network || each.name == where.network) {
      const auto& members = each.members;
      if (out.network.id.empty())
        out.network = each;
      else
        out.network.members.insert(out.network.members.end(), members.begin(), members.end());
    }
  }
  for (const auto& each : out.hosts[0].announced) {
    const auto member = std::ranges::find(out.network.members, each.instance, &wire::Member::instance);
    if (member == out.network.members.end()) continue;
    out.problems.push_back(wire::hint_text(*member, each, out.hosts[0].cloud, out.hosts[0].host));
  }
  if (!where.network.empty()) {
    if (out.network.id.empty()) {
      co_return fail(Errc::not_found, "network \"{}\": this host's switch has none of that name", where.network);
    }
    auto& host = out.hosts[0];
    std::erase_if(host.pairs, [&](const auto& each) { return each.network != out.network.id; });
    std::erase_if(host.flows, [&](const auto& each) { return each.network != out.network.id; });
  }
  co_return out;
}

sys::Task<Result<wire::NetworkObservation>> look(Session* session, Where where) {
  if (!where.switch_socket.empty()) co_return co_await of_switch(session, std::move(where));
  if (where.network.empty()) {
    co_return fail(Errc::invalid_argument, "say which network, or with --switch whose switch on this host");
  }
  auto sky = session->sky();
  if (!sky) co_return pass(sky);
  co_return co_await sky->get<wire::NetworkObservation>("/v1/networks/" + where.network + "/observation");
}

sys::Task<Result<>> top(Session& session, Where where) {
  const bool once = where.once || session.json();
  for (;;) {
    const auto seen = co_await look(&session, where);
    if (!seen) co_return pass(seen);
    if (!once) session.terminal().out(kClearScreen);
    session.print(*seen, top_text(*seen));
    if (once) co_return Result<>{};
    co_await session.clock().sleep_for(kRefresh);
  }
}

sys::Task<Result<>> status(Session& session, Where where) {
  const auto seen = co_await look(&session, std::move(where));
  if (!seen) co_return pass(seen);
  session.print(*seen, status_text(*seen));
  co_return Result<>{};
}

void add_where(CLI::App& verb, Where& where) {
  verb.add_option("network", where.network, "Its id, or its cluster's name");
  verb.add_option("--switch", where.switch_socket, "Ask this host's switch, by its control socket, instead of sky");
}

}  // namespace

void add_observation_commands(CLI::App& network, const Choose& choose) {
  const auto of_top = std::make_shared<Where>();
  auto* verb = add_verb(network, choose, "top", "Show who talks most with whom, refreshed until it is interrupted",
                        "network top demo\nnetwork top demo --once\nnetwork top --switch /run/godwit/switch.sock",
                        [of_top](Session& session) { return top(session, *of_top); });
  add_where(*verb, *of_top);
  verb->add_flag("--once", of_top->once, "Show it once (as with --json)");
  const auto of_status = std::make_shared<Where>();
  verb = add_verb(network, choose, "status", "Show how its hosts reach each other, what is wrong first",
                  "network status demo\nnetwork status --switch /run/godwit/switch.sock",
                  [of_status](Session& session) { return status(session, *of_status); });
  add_where(*verb, *of_status);
}

}  // namespace godwit::cli
