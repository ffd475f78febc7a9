#include "api/sky_routes.h"
#include "apps/command.h"
#include "apps/directories.h"
#include "apps/image_send_option.h"
#include "cli/session.h"
#include "crypto/token.h"
#include "os/system.h"
#include "sky/sky.h"

#include <CLI/CLI.hpp>
#include <filesystem>

namespace godwit::apps {
namespace {

constexpr std::size_t kTokenLimit = 4096;

struct SkyOptions {
  std::string state;
  std::string listen{"127.0.0.1:7400"};
  std::string token_file;
  std::string log{"info"};
  std::uint32_t image_send_kib_s{0};
};

// The bearer token of this sky's user: made at the first start, for this user's eyes only.
Result<std::string> open_token(sys::Runtime& runtime, const std::string& path) {
  auto token = runtime.files.read(path, kTokenLimit);
  if (token) {
    token->erase(token->find_last_not_of(" \t\r\n") + 1);
    if (token->empty())
      return fail(Errc::invalid_argument, "sky's token: {} is empty (remove it; a new one is made)", path);
    return token;
  }
  if (token.error().code != Errc::not_found) return fail(token, "sky's token");
  const auto made = runtime.files.make_directories(std::filesystem::path(path).parent_path().string(), 0700, 0);
  if (!made) return fail(made, "sky's token");
  auto drawn = crypto::make_token("gwsky", runtime.random);
  const auto written = runtime.files.write_atomic(path, drawn + "\n", 0600);
  if (!written) return fail(written, "sky's token");
  return drawn;
}

Result<sys::HttpListen> listen_at(const std::string& text) {
  const auto endpoint = cli::parse_sky(text.starts_with("unix:") ? text : "http://" + text);
  if (!endpoint) return fail(endpoint, "--listen");
  const bool local = endpoint->host.starts_with('/') || endpoint->host.starts_with("127.") || endpoint->host == "::1";
  if (!local) {
    return fail(Errc::invalid_argument,
                "--listen {}: sky speaks plain HTTP, so to this machine alone (127.0.0.1, or unix:PATH)", text);
  }
  sys::HttpListen listen;
  listen.host = endpoint->host;
  listen.port = endpoint->port;
  listen.tls = sys::HttpTls::none;
  return listen;
}

sys::Task<int> run(os::System& system, SkyOptions options) {
  auto runtime = system.runtime();
  const auto refuse = [&runtime](const Error& error) {
    runtime.log.error("{}", error.message);
    return cli::exit_code_of(error.code);
  };
  const auto listen = listen_at(options.listen);
  if (!listen) co_return refuse(listen.error());
  const auto token = open_token(runtime, options.token_file);
  if (!token) co_return refuse(token.error());
  auto sky = sky::Sky::open(runtime, {options.state, {}});
  if (!sky) co_return refuse(sky.error());
  (*sky)->images().limit(std::uint64_t{options.image_send_kib_s} << 10U);
  api::SkyRoutes routes(runtime.clock, **sky, *token);
  auto server = runtime.http.serve(*listen, routes.handler());
  if (!server) co_return refuse(server.error());
  (*sky)->start();
  const auto where = options.listen.starts_with("unix:") ? options.listen
                                                         : fmt::format("http://{}:{}", listen->host, (*server)->port());
  runtime.log.info("listens at {}, token in {}, state in {}", where, options.token_file, options.state);
  co_await system.stop_requested();
  (*server)->close();
  co_await (*sky)->stop();
  co_return cli::kDone;
}

int start(SkyOptions options) {
  const auto level = os::parse_log_level(options.log);
  if (!level) {
    fmt::print(stderr, "godwit sky: {}\n", level.error().message);
    return cli::kUsage;
  }
  if (options.state.empty()) options.state = state_directory() + "/sky";
  if (options.token_file.empty()) options.token_file = config_directory() + "/sky.token";
  options.state = std::filesystem::absolute(options.state).string();
  options.token_file = std::filesystem::absolute(options.token_file).string();
  os::System system({.log_level = *level, .component = "sky"});
  return system.run([options](os::System& on) { return run(on, options); });
}

}  // namespace

void add_sky_command(CLI::App& app, int& exit_code) {
  CLI::App* sky = app.add_subcommand("sky", "Your own service: it holds your accounts and makes clusters over clouds");
  sky->require_subcommand(1);
  CLI::App* command = sky->add_subcommand("run", "Run it, in the foreground");
  const auto options = std::make_shared<SkyOptions>();
  command->add_option("--state", options->state, "Its directory (default: ~/.local/state/godwit/sky)");
  command->add_option("--listen", options->listen, "ADDRESS:PORT of this machine alone, or unix:PATH")
      ->capture_default_str();
  command
      ->add_option("--token-file", options->token_file,
                   "Where its user's token is kept (default: ~/.config/godwit/sky.token)")
      ->envname("GODWIT_TOKEN_FILE");
  add_image_send_option(*command, options->image_send_kib_s, "clouds");
  command->add_option("--log", options->log, "debug, info, warn or error")->capture_default_str();
  command->footer(
      "Examples:\n  godwit sky run\n  godwit sky run --state /srv/sky --listen unix:/srv/sky/sky.sock\n"
      "Then, in another terminal: godwit account add --help");
  command->callback([options, &exit_code] { exit_code = start(*options); });
}

}  // namespace godwit::apps
