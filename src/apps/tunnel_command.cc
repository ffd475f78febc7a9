// `godwit tunnel`: the data plane of migrations beside an unmodified libvirt, at both of its ends.
#include "apps/command.h"
#include "apps/tunnel_estimate.h"
#include "migrate/shrink_encoding.h"
#include "migrate/zstd_encoding.h"
#include "os/system.h"

#include <netdb.h>
#include <pwd.h>
#include <unistd.h>

#include "tunnel/images.h"
#include "tunnel/keys.h"
#include "tunnel/receiver.h"
#include "tunnel/sender.h"
#include <CLI/CLI.hpp>
#include <charconv>
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

struct EndOptions {
  std::string keys;
  tunnel::Sockets sockets;
  std::vector<std::string> images;
  std::string store{"/var/cache/godwit-tunnel"};
  std::uint64_t store_gib{4};
  std::vector<std::string> encodings{"shrink", "zstd", "plain"};
  std::string tenant{"default"};
  std::string owner;
  std::string log{"info"};
};

struct SendOptions : EndOptions {
  std::string to;
  std::string peer;
  std::string mode{"0600"};
};

struct ReceiveOptions : EndOptions {
  std::string listen{"0.0.0.0:7443"};
  std::vector<std::string> from;
};

int failed(const Error& error) {
  std::cerr << "godwit tunnel: " << error.message << "\n";
  return 1;
}

struct HostPort {
  std::string host;
  std::uint16_t port{0};
};

Result<HostPort> parse_host_port(std::string_view option, const std::string& text) {
  HostPort parsed;
  const auto colon = text.rfind(':');
  if (colon != std::string::npos && colon > 0) {
    parsed.host = text.substr(0, colon);
    if (parsed.host.starts_with('[') && parsed.host.ends_with(']')) {
      parsed.host = parsed.host.substr(1, parsed.host.size() - 2);
    }
    const auto* const end = text.data() + text.size();
    const auto [read, error] = std::from_chars(text.data() + colon + 1, end, parsed.port);
    if (error == std::errc{} && read == end) return parsed;
  }
  return fail(Errc::invalid_argument, "{} {}: must be HOST:PORT (an IPv6 address in brackets)", option, text);
}

// Once, at the start: an address that changes needs a restart.
Result<std::string> resolve(const std::string& host) {
  addrinfo wish{};
  wish.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, &wish, &found);
  if (error != 0) return fail(Errc::not_found, "resolve {}: {}", host, ::gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, &::freeaddrinfo);
  std::array<char, NI_MAXHOST> numeric{};
  const int named =
      ::getnameinfo(found->ai_addr, found->ai_addrlen, numeric.data(), numeric.size(), nullptr, 0, NI_NUMERICHOST);
  if (named != 0) return fail(Errc::not_found, "resolve {}: {}", host, ::gai_strerror(named));
  return std::string(numeric.data());
}

// The user as which libvirt runs QEMU: libvirt-qemu on Debian and Ubuntu, qemu on Fedora and RHEL; else our own.
Result<unsigned> owner_of(const std::string& wanted) {
  if (!wanted.empty()) {
    const auto* const user = ::getpwnam(wanted.c_str());
    if (user) return user->pw_uid;
    return fail(Errc::not_found, "--owner {}: no such user", wanted);
  }
  if (::geteuid() != 0) return 0U;
  for (const auto* const name : {"libvirt-qemu", "qemu"}) {
    if (const auto* const user = ::getpwnam(name)) return user->pw_uid;
  }
  return 0U;
}

// QEMU makes its sockets itself, as its own user; so the directories that we make are that user's.
Result<> make_directories(sys::Files& files, const tunnel::Sockets& sockets, unsigned owner_uid) {
  for (const auto& path : {sockets.memory, sockets.disk}) {
    const auto directory = std::filesystem::path(path).parent_path().string();
    if (path.empty() || files.exists(directory)) continue;
    auto made = files.make_directories(directory, 0711, owner_uid);
    if (!made) return made;
  }
  return {};
}

Result<> show_identity(os::System& system, const std::string& path) {
  auto runtime = system.runtime();
  const auto text = runtime.files.read(std::filesystem::absolute(path), tunnel::kKeysLimit_bytes);
  if (!text) return fail(text, "--keys (make them with `godwit tunnel keys`)");
  const auto keys = tunnel::parse_keys(*text);
  if (!keys) return fail(keys, "--keys " + path);
  runtime.peers.trust({{std::string(tunnel::kDomain), keys->ca_pem}});
  auto used = system.use_identity({keys->certificate_pem, keys->key_pem});
  if (!used) return fail(used, "--keys " + path);
  return used;
}

// What an end encodes with, and what it remembers for that.
class Means final {
 public:
  // `name`: of this end, among those that share a directory.
  Means(sys::Runtime runtime, const EndOptions& options, tunnel::Images images, const std::string& name)
      : runtime_(std::move(runtime)),
        images_(std::move(images)),
        library_(images_.library()),
        store_(runtime_.page_files, options.store + "/" + name, {.disk_bytes = options.store_gib << 30U}),
        shrink_(runtime_, store_, library_) {}

  // Errors: invalid_argument.
  [[nodiscard]] Result<tunnel::Encodings> encodings(const std::vector<std::string>& names) {
    tunnel::Encodings chosen;
    for (const auto& name : names) {
      auto* const encoding = tunnel::choose({&shrink_, &zstd_, &plain_}, {name});
      if (!encoding) return fail(Errc::invalid_argument, "--encodings {}: there are shrink, zstd and plain", name);
      chosen.push_back(encoding);
    }
    return chosen;
  }
  [[nodiscard]] std::vector<std::string> digests() const { return images_.digests(); }

 private:
  sys::Runtime runtime_;
  tunnel::Images images_;
  content::Library library_;
  content::Store store_;
  migrate::ShrinkEncoding shrink_;
  migrate::ZstdEncoding zstd_;
  migrate::PlainEncoding plain_;
};

// `at`: what no two tunnels of this host have in common; it becomes a file name.
Result<std::unique_ptr<Means>> make_means(os::System& system, const EndOptions& options, std::string_view role,
                                          std::string at) {
  auto runtime = system.runtime();
  auto images = tunnel::Images::open(runtime.page_files, options.images);
  if (!images) return pass(images);
  const auto made = runtime.files.make_directories(options.store, 0700, 0);
  if (!made) return pass(made);
  std::ranges::replace(at, '/', '-');
  return std::make_unique<Means>(runtime, options, std::move(*images), fmt::format("{}{}", role, at));
}

// What both ends do before they begin; the uid of QEMU.
Result<unsigned> prepare(os::System& system, const EndOptions& options) {
  const auto owner_uid = owner_of(options.owner);
  if (!owner_uid) return owner_uid;
  const auto made = make_directories(system.runtime().files, options.sockets, *owner_uid);
  if (!made) return pass(made);
  const auto shown = show_identity(system, options.keys);
  if (!shown) return pass(shown);
  return owner_uid;
}

Result<tunnel::SenderConfig> sender_config(const SendOptions& options, unsigned owner_uid) {
  tunnel::SenderConfig config;
  config.sockets = options.sockets;
  config.owner_uid = owner_uid;
  config.tenant = options.tenant;
  const auto* const end = options.mode.data() + options.mode.size();
  const auto [read, error] = std::from_chars(options.mode.data(), end, config.mode, 8);
  if (error != std::errc{} || read != end || config.mode > 0777) {
    return fail(Errc::invalid_argument, "--mode {}: must be octal, as chmod takes it", options.mode);
  }
  const auto to = parse_host_port("--to", options.to);
  if (!to) return pass(to);
  const auto ip = resolve(to->host);
  if (!ip) return fail(ip, "--to");
  config.to = {*ip, to->port, tunnel::peer_name(options.peer)};
  return config;
}

sys::Task<Result<>> send(os::System& system, SendOptions options) {
  const auto owner_uid = prepare(system, options);
  if (!owner_uid) co_return pass(owner_uid);
  auto config = sender_config(options, *owner_uid);
  if (!config) co_return pass(config);
  const auto means = make_means(system, options, "send", options.sockets.memory + options.sockets.libvirt);
  if (!means) co_return pass(means);
  auto encodings = (*means)->encodings(options.encodings);
  if (!encodings) co_return pass(encodings);
  config->images = (*means)->digests();
  auto runtime = system.runtime();
  tunnel::Sender sender(runtime, std::move(*config), std::move(*encodings));
  const auto started = sender.start();
  if (started) {
    runtime.log.info("sends to {} at {}", options.peer, options.to);
    co_await system.stop_requested();
  }
  co_await sender.stop();
  co_return started;
}

sys::Task<Result<>> receive(os::System& system, ReceiveOptions options) {
  const auto owner_uid = prepare(system, options);
  if (!owner_uid) co_return pass(owner_uid);
  const auto at = parse_host_port("--listen", options.listen);
  if (!at) co_return pass(at);
  tunnel::ReceiverConfig config;
  config.sockets = options.sockets;
  config.tenant = options.tenant;
  config.host = at->host;
  config.port = at->port;
  for (const auto& host : options.from) config.from.push_back(tunnel::peer_name(host));
  const auto means = make_means(system, options, "receive-", options.listen);
  if (!means) co_return pass(means);
  auto encodings = (*means)->encodings(options.encodings);
  if (!encodings) co_return pass(encodings);
  config.images = (*means)->digests();
  auto runtime = system.runtime();
  tunnel::Receiver receiver(runtime, std::move(config), std::move(*encodings));
  const auto port = receiver.start();
  if (port) {
    runtime.log.info("receives at {} port {}", at->host, *port);
    co_await system.stop_requested();
  }
  co_await receiver.stop();
  if (!port) co_return pass(port);
  co_return Result<>{};
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

void add_end_options(CLI::App& command, EndOptions& options) {
  options.sockets.memory = "/run/godwit-tunnel/memory";
  options.sockets.disk = "/run/godwit-tunnel/disk";
  command.add_option("--keys", options.keys, "This host's file from `godwit tunnel keys`")->required();
  command.add_option("--memory", options.sockets.memory, "Unix socket of --migrateuri")->capture_default_str();
  command.add_option("--disk", options.sockets.disk, "Unix socket of --disks-uri")->capture_default_str();
  command.add_option("--guests", options.sockets.guests, "How many move at a time; {} in the paths is 1, 2, …")
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

void add_send(CLI::App& parent, int& exit_code) {
  auto options = std::make_shared<SendOptions>();
  auto* command = parent.add_subcommand("send", "At the host that guests leave");
  add_end_options(*command, *options);
  command->add_option("--libvirt", options->sockets.libvirt, "Unix socket for --desturi (not carried without)");
  command->add_option("--to", options->to, "HOST:PORT of `godwit tunnel receive`")->required();
  command->add_option("--peer", options->peer, "Its host's name, as in `godwit tunnel keys`")->required();
  command->add_option("--mode", options->mode, "Of the sockets that are made")->capture_default_str();
  command->footer(
      "Example:\n  godwit tunnel send --keys /etc/godwit/tunnel.keys --to right.example.com:7443 --peer right \\\n"
      "    --libvirt /run/godwit-tunnel/libvirt\n"
      "  virsh migrate --live GUEST --desturi 'qemu+unix:///system?socket=/run/godwit-tunnel/libvirt' \\\n"
      "    --migrateuri unix:///run/godwit-tunnel/memory --disks-uri unix:///run/godwit-tunnel/disk");
  command->callback([options, &exit_code] { exit_code = run(*options, &send); });
}

void add_receive(CLI::App& parent, int& exit_code) {
  auto options = std::make_shared<ReceiveOptions>();
  auto* command = parent.add_subcommand("receive", "At the host that guests come to");
  add_end_options(*command, *options);
  command->add_option("--libvirt", options->sockets.libvirt,
                      "libvirt's socket: whoever sends then rules this host's libvirt (not carried without)");
  command->add_option("--listen", options->listen, "IP:PORT")->capture_default_str();
  command->add_option("--from", options->from, "Hosts that may send (all with keys of the same making)");
  command->footer(
      "Example:\n  godwit tunnel receive --keys /etc/godwit/tunnel.keys --libvirt /run/libvirt/libvirt-sock");
  command->callback([options, &exit_code] { exit_code = run(*options, &receive); });
}

}  // namespace

void add_tunnel_command(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("tunnel", "Migrations of an unmodified libvirt, cheaper and safe over a WAN");
  command->require_subcommand(1);
  add_keys(*command, exit_code);
  add_receive(*command, exit_code);
  add_send(*command, exit_code);
  add_tunnel_estimate(*command, exit_code);
}

}  // namespace godwit::apps
