#include "apps/tunnel_ends.h"

#include "migrate/shrink_encoding.h"
#include "migrate/zstd_encoding.h"

#include <netdb.h>
#include <pwd.h>
#include <unistd.h>

#include "tunnel/images.h"
#include "tunnel/keys.h"
#include "tunnel/receiver.h"
#include "tunnel/sender.h"
#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

namespace godwit::apps {
namespace {

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

constexpr unsigned kOurs = 0;

// At the receiving end QEMU makes its sockets itself, as its own user; so the directory is that user's. At the sending
// end it is ours: no QEMU may put a socket of its own where virsh looks for libvirt's.
Result<> make_directories(sys::Files& files, const tunnel::Sockets& sockets, unsigned owner_uid) {
  for (const auto& path : {sockets.memory, sockets.disk}) {
    const auto directory = std::filesystem::path(path).parent_path().string();
    if (path.empty() || files.exists(directory)) continue;
    auto made = files.make_directories(directory, 0711, owner_uid);
    if (!made) return made;
  }
  return {};
}

// The name that this host's certificate gives it.
Result<std::string> show_identity(os::System& system, const std::string& path) {
  auto runtime = system.runtime();
  const auto text = runtime.files.read(std::filesystem::absolute(path), tunnel::kKeysLimit_bytes);
  if (!text) return fail(text, "--keys (make them with `godwit tunnel keys`)");
  const auto keys = tunnel::parse_keys(*text);
  if (!keys) return fail(keys, "--keys " + path);
  runtime.peers.trust({{std::string(tunnel::kDomain), keys->ca_pem}});
  const auto used = system.use_identity({keys->certificate_pem, keys->key_pem});
  if (!used) return fail(used, "--keys " + path);
  const auto certificate = crypto::inspect_certificate(keys->certificate_pem);
  if (!certificate) return fail(certificate, "--keys " + path);
  return certificate->name.substr(0, certificate->name.find('.'));
}

// What an end encodes with, and what it remembers for that.
class Means final {
 public:
  // `name`: of this end, among those that share a directory.
  Means(sys::Runtime runtime, const EndOptions& options, tunnel::Images images, const std::string& name)
      : runtime_(std::move(runtime)),
        images_(std::move(images)),
        library_(images_.library(options.store + "/" + name)),
        store_(runtime_.page_files, options.store + "/" + name, {.disk_bytes = options.store_gib << 30U}),
        shrink_(runtime_, store_, library_, nullptr, "shrink", std::nullopt, memory_),
        exact_only_(runtime_, store_, library_, nullptr, "dedup", migrate::kExactOnly, memory_) {}

  // Errors: invalid_argument.
  [[nodiscard]] Result<tunnel::Encodings> encodings(const std::vector<std::string>& names) {
    tunnel::Encodings chosen;
    for (const auto& name : names) {
      auto* const encoding = tunnel::choose({&shrink_, &exact_only_, &zstd_, &plain_}, {name});
      if (!encoding) {
        return fail(Errc::invalid_argument, "--encodings {}: there are shrink, dedup, zstd and plain", name);
      }
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
  std::shared_ptr<migrate::HostMemory> memory_{std::make_shared<migrate::HostMemory>()};  // with both encodings
  migrate::ShrinkEncoding shrink_;
  migrate::ShrinkEncoding exact_only_;
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

// What both ends do before they begin.
struct Prepared {
  std::string host;      // our own name
  unsigned owner_uid{};  // QEMU's
};
Result<Prepared> prepare(os::System& system, const EndOptions& options) {
  const auto owner_uid = owner_of(options.owner);
  if (!owner_uid) return pass(owner_uid);
  auto host = show_identity(system, options.keys);
  if (!host) return pass(host);
  return Prepared{std::move(*host), *owner_uid};
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

Result<tunnel::ReceiverConfig> receiver_config(const ReceiveOptions& options) {
  const auto at = parse_host_port("--listen", options.listen);
  if (!at) return pass(at);
  tunnel::ReceiverConfig config;
  config.sockets = options.sockets;
  config.tenant = options.tenant;
  config.host = at->host;
  config.port = at->port;
  for (const auto& host : options.from) config.from.push_back(tunnel::peer_name(host));
  return config;
}

// One or both of these, until SIGTERM.
sys::Task<Result<>> serve(os::System& system, tunnel::Receiver* receiver, tunnel::Sender* sender) {
  const auto log = system.runtime().log;
  Result<> started;
  if (receiver) {
    const auto port = receiver->start();
    if (!port) started = pass(port);
    if (port) log.info("receives at port {}", *port);
  }
  if (started && sender) started = sender->start();
  if (started) {
    log.info("ready");
    co_await system.stop_requested();
  }
  if (sender) co_await sender->stop();
  if (receiver) co_await receiver->stop();
  co_return started;
}

// DIRECTORY/to-NAME: the same at both ends, as libvirt wants it.
tunnel::Sockets sockets_to(const BothOptions& options, const std::string& host) {
  const auto at = options.directory + "/to-" + host + "/";
  const std::string number = options.sockets.guests > 1 ? "{}." : "";
  return {at + number + "memory", at + number + "disk", at + "libvirt", options.sockets.guests};
}

}  // namespace

sys::Task<Result<>> send_guests(os::System& system, SendOptions options) {
  const auto prepared = prepare(system, options);
  if (!prepared) co_return pass(prepared);
  auto config = sender_config(options, prepared->owner_uid);
  if (!config) co_return pass(config);
  const auto made = make_directories(system.runtime().files, options.sockets, kOurs);
  if (!made) co_return made;
  const auto means = make_means(system, options, "send", options.sockets.memory + options.sockets.libvirt);
  if (!means) co_return pass(means);
  auto encodings = (*means)->encodings(options.encodings);
  if (!encodings) co_return pass(encodings);
  config->images = (*means)->digests();
  tunnel::Sender sender(system.runtime(), std::move(*config), std::move(*encodings));
  co_return co_await serve(system, nullptr, &sender);
}

sys::Task<Result<>> receive_guests(os::System& system, ReceiveOptions options) {
  const auto prepared = prepare(system, options);
  if (!prepared) co_return pass(prepared);
  auto config = receiver_config(options);
  if (!config) co_return pass(config);
  const auto made = make_directories(system.runtime().files, options.sockets, prepared->owner_uid);
  if (!made) co_return made;
  const auto means = make_means(system, options, "receive-", options.listen);
  if (!means) co_return pass(means);
  auto encodings = (*means)->encodings(options.encodings);
  if (!encodings) co_return pass(encodings);
  config->images = (*means)->digests();
  tunnel::Receiver receiver(system.runtime(), std::move(*config), std::move(*encodings));
  co_return co_await serve(system, &receiver, nullptr);
}

sys::Task<Result<>> send_and_receive_guests(os::System& system, BothOptions options) {
  const auto prepared = prepare(system, options);
  if (!prepared) co_return pass(prepared);
  SendOptions out{options, options.to, options.peer};
  out.sockets = sockets_to(options, options.peer);
  ReceiveOptions in{options, options.listen, {options.peer}};
  in.sockets = sockets_to(options, prepared->host);
  in.sockets.libvirt = options.libvirt;
  auto sending = sender_config(out, prepared->owner_uid);
  if (!sending) co_return pass(sending);
  auto receiving = receiver_config(in);
  if (!receiving) co_return pass(receiving);
  auto made = make_directories(system.runtime().files, out.sockets, kOurs);
  if (made) made = make_directories(system.runtime().files, in.sockets, prepared->owner_uid);
  if (!made) co_return made;
  const auto means = make_means(system, options, "both-", options.listen);
  if (!means) co_return pass(means);
  const auto encodings = (*means)->encodings(options.encodings);
  if (!encodings) co_return pass(encodings);
  sending->images = receiving->images = (*means)->digests();
  tunnel::Sender sender(system.runtime(), std::move(*sending), *encodings);
  tunnel::Receiver receiver(system.runtime(), std::move(*receiving), *encodings);
  co_return co_await serve(system, &receiver, &sender);
}

}  // namespace godwit::apps
