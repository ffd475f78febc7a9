#include "cli/session.h"

#include "cli/text.h"

namespace godwit::cli {
namespace {

constexpr std::size_t kTokenFileLimit = 8UL * 1024;

std::string trimmed(std::string text) {
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  text.erase(0, std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  return text;
}

}  // namespace

Result<sys::HttpEndpoint> parse_sky(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  if (!text.starts_with(kUnix)) return sys::parse_endpoint(text, "sky.godwit");
  text.remove_prefix(kUnix.size());
  if (!text.starts_with('/')) return fail(Errc::invalid_argument, "\"unix:{}\": the path must be absolute", text);
  sys::HttpEndpoint endpoint;
  endpoint.host = text;
  endpoint.tls = sys::HttpTls::none;
  return endpoint;
}

Result<SkyClient> Session::sky() {
  auto endpoint = parse_sky(options_.sky);
  if (!endpoint) return fail(endpoint, "GODWIT_SKY");
  const auto path = options_.token_file.empty() ? parts_.config_directory + "/sky.token" : options_.token_file;
  auto token = read(path, kTokenFileLimit);
  if (!token && token.error().code == Errc::not_found) {
    return fail(
        Errc::not_found,
        "sky's token: there is no {} (`godwit sky run` makes it; elsewhere: --sky-token-file, or GODWIT_TOKEN_FILE)",
        path);
  }
  if (!token) return fail(token, "sky's token");
  return SkyClient(parts_.http, std::move(*endpoint), trimmed(std::move(*token)));
}

Result<std::string> Session::read(const std::string& path, std::size_t limit_bytes) {
  if (path == "-") {
    auto text = terminal().read_all(limit_bytes + 1);
    if (text.size() > limit_bytes) {
      return fail(Errc::exhausted, "read the standard input: more than {} bytes", limit_bytes);
    }
    return text;
  }
  return parts_.files.read(absolute(path), limit_bytes);
}

std::string Session::absolute(const std::string& path) const {
  return path.starts_with('/') ? path : parts_.working_directory + "/" + path;
}

sys::Task<int> run(Session& session, Action action) {
  const auto outcome = co_await action(session);
  if (outcome) co_return kDone;
  const auto& error = outcome.error();
  if (session.json()) {
    session.terminal().err(wire::error_body(error) + "\n");
  } else {
    session.terminal().err("godwit: " + printable(error.message) + "\n");
  }
  co_return exit_code_of(error.code);
}

}  // namespace godwit::cli
