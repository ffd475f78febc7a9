#include "apps/command.h"

#include "lab/command.h"
#include <CLI/CLI.hpp>

namespace godwit::apps {

void add_lab_command(CLI::App& app, int& exit_code) {
  CLI::App* lab = app.add_subcommand("lab", "Whole clouds, NATs and a WAN on this machine, in network namespaces");
  lab::add_commands(*lab, {}, exit_code);
}

}  // namespace godwit::apps
