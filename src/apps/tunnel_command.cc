// `godwit tunnel`: the data plane of migrations beside an unmodified libvirt, at both of its ends.
#include "apps/command.h"
#include "apps/tunnel_ends.h"
#include "apps/tunnel_estimate.h"

#include "tunnel/keys.h"
#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>

namespace godwit::apps {
namespace {

constexpr auto kValidity = std::chrono::hours(24 * 365 * 5);
constexpr auto kClockSkew = std::chrono::hours(24);  // of the hosts that will hold the keys

struct KeysOptions {
  std::vector<std::string> hosts;
  std::string directory{"."};
};

int failed(const Error& error) {
  std::cerr << "godwit tunnel: " << error.message << "\n";
  return 1;
}

template <class Options>
int run(const Options& options, sys::Task<Result<>> (*end)(os::System&, Options)) {
  const auto level = os::parse_log_level(options.log);
  if (!level) return failed(level.error());
  os::System system({.log_level = *level, .component = "tunnel"});
  return system.run([&](os::System& on) -> sys::Task<int> {
    auto wish = options;
    const auto done = co_await end(on, std::move(wish));
    if (!done) co_return failed(done.error());
    co_return 0;
  });
}

Result<> write_keys(const KeysOptions& options) {
  os::SystemClock clock;
  os::SystemRandom random;
  os::SystemFiles files;
  const auto now = clock.wall_now();
  const auto all = tunnel::make_keys(options.hosts, {now - kClockSkew, now + kValidity}, random);
  if (!all) return pass(all);
  const auto directory = std::filesystem::absolute(options.directory).lexically_normal();
  auto made = files.make_directories(directory, 0700, 0);
  if (!made) return made;
  for (const auto& each : *all) {
    const auto path = (directory / (each.host + ".keys")).string();
    if (files.exists(path)) {
      return fail(Errc::conflict, "{} is there already: remove it, or choose another directory", path);
    }
    auto written = files.write_atomic(path, each.text, 0600);
    if (!written) return written;
    std::cout << path << "\n";
  }
  return {};
}

// ---- the options

void add_keys(CLI::App& parent, int& exit_code) {
  auto options = std::make_shared<KeysOptions>();
  auto* keys = parent.add_subcommand("keys", "Make the keys of hosts that trust each other: one file for each");
  keys->add_option("hosts", options->hosts, "Names of the hosts, as --peer and --from say them")->required();
  keys->add_option("--directory", options->directory, "Where NAME.keys are written")->capture_default_str();
  keys->footer(
      "Example:\n  godwit tunnel keys left right\n"
      "  scp left.keys root@left:/etc/godwit/tunnel.keys; scp right.keys root@right:/etc/godwit/tunnel.keys; rm "
      "*.keys\n"
      "They hold for five years. The key that signed them is not kept: for another host, make all anew.");
  keys->callback([options, &exit_code] {
    const auto written = write_keys(*options);
    if (!written) exit_code = failed(written.error());
  });
}

void add_common_options(CLI::App& command, EndOptions& options) {
  command.add_option("--keys", options.keys, "This host's file from `godwit tunnel keys`")->required();
  command
      .add_option("--guests", options.sockets.guests, "How many move at a time each way; {} in the paths is 1, 2, …")
      ->capture_default_str();
  command.add_option("--image", options.images, "A file that both hosts have: guests' disk image, kernel, initrd");
  command.add_option("--store", options.store, "Directory for what has crossed, so that it needn't again")
      ->capture_default_str();
  command.add_option("--store-gib", options.store_gib, "How much of it, in GiB")->capture_default_str();
  command.add_option("--encodings", options.encodings, "Best first")->delimiter(',')->capture_default_str();
  command.add_option("--tenant", options.tenant, "Whose guests these are; the same at both ends")
      ->capture_default_str();
  command.add_option("--owner", options.owner, "User as which QEMU runs (libvirt-qemu or qemu, if there is one)");
  command.add_option("--log", options.log, "debug, info, warn or error")->capture_default_str();
}

void add_socket_options(CLI::App& command, EndOptions& options) {
  options.sockets.memory = "/run/godwit-tunnel/memory";
  options.sockets.disk = "/run/godwit-tunnel/disk";
  command.add_option("--memory", options.sockets.memory, "Unix socket of --migrateuri")->capture_default_str();
  command.add_option("--disk", options.sockets.disk, "Unix socket of --disks-uri")->capture_default_str();
}

void add_both(CLI::App& parent, int& exit_code) {
  auto options = std::make_shared<BothOptions>();
  auto* command = parent.add_subcommand("both", "Between two hosts in both directions: what came needn't go back");
  add_common_options(*command, *options);
  command->add_option("--directory", options->directory, "Of the sockets; those for guests to NAME are in to-NAME")
      ->capture_default_str();
  command->add_option("--listen", options->listen, "IP:PORT")->capture_default_str();
  command->add_option("--to", options->to, "HOST:PORT of the other host's `godwit tunnel both`")->required();
  command->add_option("--peer", options->peer, "The other host's name, as in `godwit tunnel keys`")->required();
  command->add_option("--libvirt", options->libvirt,
                      "libvirt's socket: the other host then rules this host's libvirt (not carried without)");
  command->footer(
      "Example, at left:\n  godwit tunnel both --keys /etc/godwit/tunnel.keys --to right.example.com:7443 --peer right "
      "\\\n    --libvirt /run/libvirt/libvirt-sock\n"
      "  virsh migrate --live GUEST --desturi 'qemu+unix:///system?socket=/run/godwit-tunnel/to-right/libvirt' \\\n"
      "    --migrateuri unix:///run/godwit-tunnel/to-right/memory --disks-uri "
      "unix:///run/godwit-tunnel/to-right/disk");
  command->callback([options, &exit_code] { exit_code = run(*options, &send_and_receive_guests); });
}

void add_send(CLI::App& parent, int& exit_code) {
  auto options = std::make_shared<SendOptions>();
  auto* command = parent.add_subcommand("send", "At the host that guests leave");
  add_common_options(*command, *options);
  add_socket_options(*command, *options);
  command->add_option("--libvirt", options->sockets.libvirt, "Unix socket for --desturi (not carried without)");
  command->add_option("--to", options->to, "HOST:PORT of `godwit tunnel receive`")->required();
  command->add_option("--peer", options->peer, "Its host's name, as in `godwit tunnel keys`")->required();
  command->add_option("--mode", options->mode, "Of the sockets that are made")->capture_default_str();
  command->footer(
      "Example:\n  godwit tunnel send --keys /etc/godwit/tunnel.keys --to right.example.com:7443 --peer right \\\n"
      "    --libvirt /run/godwit-tunnel/libvirt\n"
      "  virsh migrate --live GUEST --desturi 'qemu+unix:///system?socket=/run/godwit-tunnel/libvirt' \\\n"
      "    --migrateuri unix:///run/godwit-tunnel/memory --disks-uri unix:///run/godwit-tunnel/disk");
  command->callback([options, &exit_code] { exit_code = run(*options, &send_guests); });
}

void add_receive(CLI::App& parent, int& exit_code) {
  auto options = std::make_shared<ReceiveOptions>();
  auto* command = parent.add_subcommand("receive", "At the host that guests come to");
  add_common_options(*command, *options);
  add_socket_options(*command, *options);
  command->add_option("--libvirt", options->sockets.libvirt,
                      "libvirt's socket: whoever sends then rules this host's libvirt (not carried without)");
  command->add_option("--listen", options->listen, "IP:PORT")->capture_default_str();
  command->add_option("--from", options->from, "Hosts that may send (all with keys of the same making)");
  command->footer(
      "Example:\n  godwit tunnel receive --keys /etc/godwit/tunnel.keys --libvirt /run/libvirt/libvirt-sock");
  command->callback([options, &exit_code] { exit_code = run(*options, &receive_guests); });
}

}  // namespace

void add_tunnel_command(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("tunnel", "Migrations of an unmodified libvirt, cheaper and safe over a WAN");
  add_keys(*command, exit_code);
  add_both(*command, exit_code);
  add_receive(*command, exit_code);
  add_send(*command, exit_code);
  add_tunnel_estimate(*command, exit_code);
}

}  // namespace godwit::apps
