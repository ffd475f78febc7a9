#include "cli/commands.h"

#include <CLI/CLI.hpp>
#include <sstream>

namespace godwit::cli {

void add_user_commands(CLI::App& app, const Choose& choose) {
  add_account_commands(app, choose);
  add_cluster_commands(app, choose);
  add_security_group_commands(app, choose);
  add_instance_commands(app, choose);
  add_migration_commands(app, choose);
  add_image_commands(app, choose);
  add_listing_commands(app, choose);
}

CLI::App* add_noun(CLI::App& app, const std::string& name, const std::string& help) {
  CLI::App* noun = app.add_subcommand(name, help);
  noun->require_subcommand(1);
  return noun;
}

CLI::App* add_verb(CLI::App& noun, const Choose& choose, const std::string& name, const std::string& help,
                   const std::string& examples, Action action) {
  CLI::App* verb = noun.add_subcommand(name, help);
  const auto common = std::make_shared<CommonOptions>();  // shared with the callback, which lives in the parser
  verb->add_flag("--json", common->json, "For programs: JSON on the standard output, errors as JSON too");
  verb->add_option("--sky", common->sky, "Where sky listens")
      ->envname("GODWIT_SKY")
      ->capture_default_str()
      ->group("Connection");
  verb->add_option("--sky-token-file", common->token_file,
                   "Its token (default: sky.token in the configuration directory)")
      ->envname("GODWIT_TOKEN_FILE")
      ->group("Connection");
  if (!examples.empty()) {
    std::string footer = "Examples:";
    std::istringstream lines(examples);
    for (std::string line; std::getline(lines, line);) footer += "\n  godwit " + line;
    verb->footer(footer);
  }
  verb->callback([choose, common, action = std::move(action)] { choose(*common, action); });
  return verb;
}

}  // namespace godwit::cli
