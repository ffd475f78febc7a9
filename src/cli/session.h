// What a command of the user's side works with.
#pragma once

#include "cli/exit_code.h"
#include "cli/sky_client.h"
#include "cli/terminal.h"
#include "sys/files.h"
#include "sys/stream.h"

#include <functional>
#include <string>

namespace godwit::cli {

constexpr std::string_view kDefaultSky = "http://127.0.0.1:7400";

// "http://127.0.0.1:7400", or "unix:/run/sky.sock". Errors: invalid_argument.
[[nodiscard]] Result<sys::HttpEndpoint> parse_sky(std::string_view text);

// Borrowed for one command.
struct Parts {
  sys::Clock& clock;
  sys::Random& random;
  sys::Files& files;
  sys::Http& http;
  Terminal& terminal;
  sys::LocalSockets& local;
  std::string config_directory;  // "/home/alice/.config/godwit"
  std::string working_directory;
};

// Options that every command of the user's side has.
struct CommonOptions {
  std::string sky{kDefaultSky};
  std::string token_file;  // empty: sky.token in the configuration directory
  bool json{false};
};

class Session {
 public:
  Session(Parts parts, CommonOptions options) : parts_(std::move(parts)), options_(std::move(options)) {}

  [[nodiscard]] bool json() const { return options_.json; }
  [[nodiscard]] Terminal& terminal() { return parts_.terminal; }
  [[nodiscard]] sys::Clock& clock() { return parts_.clock; }
  [[nodiscard]] sys::Random& random() { return parts_.random; }
  [[nodiscard]] sys::LocalSockets& local() { return parts_.local; }

  // Reads the token file. Errors: those of parse_endpoint(); not_found, with the remedy.
  [[nodiscard]] Result<SkyClient> sky();
  // A file of the user's; "-" is the standard input. Errors: not_found, exhausted, io.
  [[nodiscard]] Result<std::string> read(const std::string& path, std::size_t limit_bytes);

  // The path of a file of the user's, which another process of this machine is to open.
  [[nodiscard]] std::string absolute(const std::string& path) const;

  template <class T>
  void print_json(const T& message) {
    terminal().out(wire::print_json_pretty(wire::to_json(message)));
  }
  // `message` where JSON was asked for, else `text`.
  template <class T>
  void print(const T& message, std::string_view text) {
    if (json()) return print_json(message);
    terminal().out(text);
  }

 private:
  Parts parts_;
  CommonOptions options_;
};

// A command that was chosen, ready to run. The session outlives it. Errors are told to the user by run().
using Action = std::function<sys::Task<Result<>>(Session&)>;

// Runs `action`; says what failed, as JSON where JSON was asked for. Gives the exit code.
[[nodiscard]] sys::Task<int> run(Session& session, Action action);

}  // namespace godwit::cli
