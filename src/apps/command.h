// apps/command.h: the commands of `godwit`. Each is in a file of its own, which adds its subcommand to `app`; the one
// that is called sets `exit_code`: 0 done, 1 failed (stderr says why), 2 wrong usage, and others as docs/ops/cli.md has
// them.
#pragma once

namespace CLI {
class App;
}

namespace godwit::apps {

void add_agent_command(CLI::App& app, int& exit_code);
void add_cloud_command(CLI::App& app, int& exit_code);
// Of agents: not among what people are shown.
void add_disk_server_command(CLI::App& app, int& exit_code);
void add_completion_command(CLI::App& app);
void add_image_store_command(CLI::App& app, int& exit_code);
void add_lab_command(CLI::App& app, int& exit_code);
// Into the noun network of add_user_commands(): capture.
void add_capture_command(CLI::App& app, int& exit_code);
void add_relay_command(CLI::App& app, int& exit_code);
void add_sky_command(CLI::App& app, int& exit_code);
void add_switch_command(CLI::App& app, int& exit_code);
void add_tunnel_command(CLI::App& app, int& exit_code);
void add_user_commands(CLI::App& app, int& exit_code);  // account, cluster, instance, migration, host, image, network
void add_version_command(CLI::App& app);

}  // namespace godwit::apps
