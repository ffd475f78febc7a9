#include "apps/command.h"
#include "apps/lab_processes.h"
#include "lab/command.h"

#include <CLI/CLI.hpp>
#include <filesystem>

namespace godwit::apps {

void add_lab_command(CLI::App& app, int& exit_code) {
  CLI::App* lab = app.add_subcommand("lab", "Whole clouds, NATs and a WAN on this machine, in network namespaces");
  lab::add_commands(
      *lab,
      [](const lab::Plan& plan, const std::string& directory) {
        const auto self = std::filesystem::read_symlink("/proc/self/exe").string();
        return plan_processes(self, plan, directory);
      },
      exit_code);
}

}  // namespace godwit::apps
