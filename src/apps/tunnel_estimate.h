// `godwit tunnel estimate`, as tunnel_command.cc adds it.
#pragma once

namespace CLI {
class App;
}

namespace godwit::apps {

void add_tunnel_estimate(CLI::App& parent, int& exit_code);

}  // namespace godwit::apps
