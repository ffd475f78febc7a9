#include "apps/command.h"

#include <CLI/CLI.hpp>

int main(int argc, char** argv) {
  constexpr int kWrongUsage = 2;
  int exit_code = 0;
  CLI::App app{"godwit: one virtual cluster across many clouds, moved while it runs", "godwit"};
  app.require_subcommand(1);
  godwit::apps::add_agent_command(app, exit_code);
  godwit::apps::add_cloud_command(app, exit_code);
  godwit::apps::add_switch_command(app, exit_code);
  godwit::apps::add_lab_command(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kWrongUsage;
  }
  return exit_code;
}
