#include "apps/command.h"

#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace {

// What was asked for where a command should be; the parser itself only says that one is required. Empty: nothing.
std::string unknown_command(const CLI::App& app) {
  const auto* at = &app;
  std::string path = app.get_name();
  for (auto next = at->get_subcommands(); !next.empty(); next = at->get_subcommands()) {
    at = next.front();
    path += " " + at->get_name();
  }
  const auto rest = at->remaining();
  if (rest.empty()) return {};
  std::vector<std::string> names;
  for (const auto* each : at->get_subcommands([](const CLI::App*) { return true; })) names.push_back(each->get_name());
  return fmt::format("{0} has no command \"{1}\"; it has {2}.\nRun {0} --help for more information.", path,
                     rest.front(), fmt::join(names, ", "));
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int kWrongUsage = 2;
  int exit_code = 0;
  CLI::App app{"godwit: one virtual cluster across many clouds, moved while it runs", "godwit"};
  app.require_subcommand(1);
  godwit::apps::add_user_commands(app, exit_code);
  godwit::apps::add_capture_command(app, exit_code);
  godwit::apps::add_sky_command(app, exit_code);
  godwit::apps::add_agent_command(app, exit_code);
  godwit::apps::add_cloud_command(app, exit_code);
  godwit::apps::add_switch_command(app, exit_code);
  godwit::apps::add_relay_command(app, exit_code);
  godwit::apps::add_tunnel_command(app, exit_code);
  godwit::apps::add_image_store_command(app, exit_code);
  godwit::apps::add_lab_command(app, exit_code);
  godwit::apps::add_disk_server_command(app, exit_code);
  godwit::apps::add_completion_command(app);
  godwit::apps::add_version_command(app);
  app.footer(
      "Begin with: godwit lab up (whole clouds on this machine), or godwit sky run and godwit account add.\n"
      "godwit COMMAND --help says more, with examples. Exit codes: 0 done, 1 failed, 2 usage, 3 unreachable, 4 not "
      "found,\n"
      "5 conflict, 6 denied, 7 exhausted, 8 timed out, 9 in doubt, 130 interrupted.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::RequiredError& error) {
    const auto unknown = unknown_command(app);
    if (unknown.empty()) return app.exit(error) == 0 ? 0 : kWrongUsage;
    fmt::print(stderr, "{}\n", unknown);
    return kWrongUsage;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kWrongUsage;
  }
  return exit_code;
}
