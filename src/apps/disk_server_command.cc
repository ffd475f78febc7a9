#include "apps/command.h"
#include "image/disk_server.h"
#include "os/confinement.h"
#include "os/system.h"

#include <CLI/CLI.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <iostream>
#include <memory>

namespace godwit::apps {
namespace {

constexpr std::size_t kMemory_bytes = 256UL << 20U;  // answers of all clients, and the bitmaps of the largest image

struct ServerOptions {
  image::DiskServerOptions serve;
  std::string log{"info"};
};

int failed(const Error& error) {
  std::cerr << "godwit disk-server: " << error.message << "\n";
  return 1;
}

sys::Task<int> serve(os::System& on, image::DiskServerOptions options) {
  using namespace boost::asio::experimental::awaitable_operators;
  image::DiskServer server(on.runtime(), std::move(options));
  const auto started = server.start();
  if (!started) co_return failed(started.error());
  auto race = server.wait_lonely() || on.stop_requested();
  co_await std::move(race);
  co_await server.stop();
  co_return 0;
}

int run(const ServerOptions& options) {
  const auto level = os::parse_log_level(options.log);
  if (!level) return failed(level.error());
  os::System system({.log_level = *level, .component = "disk"});
  const auto confined = os::confine(kMemory_bytes);
  if (!confined) return failed(confined.error());
  return system.run([&](os::System& on) { return serve(on, options.serve); });
}

}  // namespace

void add_disk_server_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<ServerOptions>();
  auto* command = app.add_subcommand("disk-server",
                                     "Serves one instance's base disk while its image is on its way; agents start it");
  command->group("");  // not for people
  command->add_option("--file", options->serve.file, "The image's file, raw")->required();
  command->add_option("--socket", options->serve.socket, "Where QEMU dials")->required();
  command->add_option("--desk", options->serve.desk, "Where the agent listens")->required();
  command->add_option("--log", options->log, "debug, info, warn or error")->capture_default_str();
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace godwit::apps
