// The commands of the user's side, as words of a command line. Each file of commands adds a noun; a noun's verbs parse
// into options of their own and choose an action.
#pragma once

#include "cli/session.h"

#include <functional>
#include <memory>
#include <string>

namespace CLI {
class App;
}

namespace godwit::cli {

// Called once, while the command line is parsed, with what its user wants.
using Choose = std::function<void(const CommonOptions&, Action)>;

// account, cluster, security-group, instance, migration, host, image, network.
void add_user_commands(CLI::App& app, const Choose& choose);

void add_account_commands(CLI::App& app, const Choose& choose);
void add_cluster_commands(CLI::App& app, const Choose& choose);
void add_security_group_commands(CLI::App& app, const Choose& choose);
void add_image_commands(CLI::App& app, const Choose& choose);
// Into the noun image: check.
void add_image_check_command(CLI::App& image, const Choose& choose);
void add_instance_commands(CLI::App& app, const Choose& choose);
void add_migration_commands(CLI::App& app, const Choose& choose);
// Into the noun network: top, status; join, leave, leaves.
void add_observation_commands(CLI::App& network, const Choose& choose);
void add_leaf_commands(CLI::App& network, const Choose& choose);
void add_listing_commands(CLI::App& app, const Choose& choose);

// A verb with the options that all have. `examples`: command lines without their "godwit ", one a line.
[[nodiscard]] CLI::App* add_verb(CLI::App& noun, const Choose& choose, const std::string& name, const std::string& help,
                                 const std::string& examples, Action action);
// A noun, which wants a verb.
[[nodiscard]] CLI::App* add_noun(CLI::App& app, const std::string& name, const std::string& help);

}  // namespace godwit::cli
