#include "apps/command.h"
#include "apps/directories.h"
#include "apps/system_terminal.h"
#include "base/version.h"
#include "cli/commands.h"
#include "cli/completion.h"
#include "os/system.h"

#include <CLI/CLI.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <filesystem>

namespace godwit::apps {
namespace {

sys::Task<int> run_until_stopped(os::System& system, cli::Session& session, cli::Action action) {
  using namespace boost::asio::experimental::awaitable_operators;
  auto race = cli::run(session, std::move(action)) || system.stop_requested();
  const auto outcome = co_await std::move(race);
  if (outcome.index() == 0) co_return std::get<0>(outcome);
  session.terminal().err("\ninterrupted: what sky was asked for goes on\n");
  co_return cli::kInterrupted;
}

int carry_out(const cli::CommonOptions& options, const cli::Action& action) {
  os::System system({.log_level = LogLevel::error, .component = "godwit"});
  SystemTerminal terminal;
  return system.run([&](os::System& on) -> sys::Task<int> {
    const auto runtime = on.runtime();
    cli::Session session({runtime.clock, runtime.random, runtime.files, runtime.http, terminal, runtime.local,
                          config_directory(), std::filesystem::current_path().string()},
                         options);
    co_return co_await run_until_stopped(on, session, action);
  });
}

}  // namespace

void add_user_commands(CLI::App& app, int& exit_code) {
  cli::add_user_commands(app, [&exit_code](const cli::CommonOptions& options, const cli::Action& action) {
    exit_code = carry_out(options, action);
  });
}

void add_version_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("version", "Show which godwit this is");
  const auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "For programs");
  command->callback([json] {
    if (*json) {
      fmt::print("{{\"version\": \"{}\"}}\n", version());
    } else {
      fmt::print("godwit {}\n", version());
    }
  });
}

void add_completion_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("completion", "Print a script that completes godwit's words in a shell");
  command->require_subcommand(1);
  CLI::App* bash = command->add_subcommand("bash", "For bash");
  bash->footer(
      "Examples:\n  source <(godwit completion bash)\n  godwit completion bash > /etc/bash_completion.d/godwit");
  bash->callback([&app] { fmt::print("{}", cli::bash_completion(app)); });
}

}  // namespace godwit::apps
