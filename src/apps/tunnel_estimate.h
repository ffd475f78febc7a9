// `godwit tunnel estimate` and `godwit tunnel --estimate`, as tunnel_command.cc adds them.
#pragma once

namespace CLI {
class App;
}

namespace godwit::apps {

// `parent` then takes a subcommand, or the flag.
void add_tunnel_estimate(CLI::App& parent, int& exit_code);

}  // namespace godwit::apps
