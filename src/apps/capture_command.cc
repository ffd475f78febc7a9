#include "apps/command.h"
#include "os/system.h"
#include "sys/lines.h"
#include "wire/switch_control.h"

#include <CLI/CLI.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <memory>

namespace godwit::apps {
namespace {

constexpr std::size_t kAnswerLimit = std::size_t{64} << 10U;
constexpr std::size_t kPieceBytes = std::size_t{256} << 10U;

struct CaptureOptions {
  std::string control{"/run/godwit/switch.sock"};
  std::string file;
  wire::SwitchCapture what;
};

struct CloseFile {
  void operator()(std::FILE* file) const {
    if (file != stdout) std::fclose(file);
  }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

// The answer is a line; what follows it is pcapng already: no byte more may be read.
sys::Task<Result<std::string>> read_answer(sys::Stream* stream) {
  std::string line;
  std::byte one{};
  while (line.size() < kAnswerLimit) {
    const auto read = co_await stream->read_some(ByteSpan(&one, 1));
    if (!read) co_return pass(read);
    if (static_cast<char>(one) == '\n') co_return line;
    line.push_back(static_cast<char>(one));
  }
  co_return fail(Errc::protocol, "its answer is too long");
}

sys::Task<Result<>> copy(sys::Stream* stream, std::FILE* to) {
  ByteVector piece(kPieceBytes);
  for (;;) {
    const auto read = co_await stream->read_some(piece);
    if (!read) co_return fail(read, "the switch has ended the capture");
    const bool written = std::fwrite(piece.data(), 1, *read, to) == *read && std::fflush(to) == 0;
    if (!written) co_return Result<>{};  // who read it, as `head` does, has enough
  }
}

sys::Task<Result<>> capture(sys::LocalSockets* local, CaptureOptions options) {
  auto stream = co_await local->dial(options.control);
  if (!stream) co_return fail(stream, "the switch at " + options.control);
  wire::SwitchRequest request;
  request.op = wire::SwitchOp::capture;
  request.capture = options.what;
  const auto asked = wire::encode(request) + "\n";
  const auto sent = co_await (*stream)->write(as_bytes(asked));
  if (!sent) co_return fail(sent, "the switch at " + options.control);
  const auto line = co_await read_answer(stream->get());
  if (!line) co_return fail(line, "the switch at " + options.control);
  const auto reply = wire::decode<wire::SwitchReply>(*line, kAnswerLimit);
  if (!reply) co_return fail(reply, "the switch at " + options.control);
  if (!reply->error.empty()) co_return fail(Errc::invalid_argument, "{}", reply->error);
  const File file(options.file.empty() || options.file == "-" ? stdout : std::fopen(options.file.c_str(), "wb"));
  if (!file) co_return fail(Errc::io, "write {}: {}", options.file, std::strerror(errno));
  co_return co_await copy(stream->get(), file.get());
}

sys::Task<int> run(os::System* system, CaptureOptions options) {
  using namespace boost::asio::experimental::awaitable_operators;
  const auto runtime = system->runtime();
  auto race = capture(&runtime.local, std::move(options)) || system->stop_requested();
  const auto outcome = co_await std::move(race);
  if (outcome.index() == 1 || std::get<0>(outcome)) co_return 0;
  std::cerr << "godwit network capture: " << std::get<0>(outcome).error().message << "\n";
  co_return 1;
}

}  // namespace

void add_capture_command(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<CaptureOptions>();
  auto* command = app.get_subcommand("network")->add_subcommand(
      "capture", "Write what crosses this host's instances' network devices as pcapng, until it is interrupted");
  command->add_option("--switch", options->control, "control socket of this host's switch")->capture_default_str();
  command->add_option("--network", options->what.network, "id of a network; all otherwise");
  command->add_option("--instance", options->what.instance, "id of an instance; all otherwise");
  command->add_option("--snaplen", options->what.snap_bytes, "no more bytes of each frame; 0: all");
  command->add_option("-w,--write", options->file, "file; the standard output otherwise");
  command->footer(
      "Examples:\n  godwit network capture --instance i-0123456789abcdef0 -w out.pcapng\n"
      "  godwit network capture | tcpdump -nr -\n  godwit network capture | tshark -r -");
  command->callback([options, &exit_code] {
    os::System system({.log_level = LogLevel::error, .component = "godwit"});
    exit_code = system.run([options](os::System& on) { return run(&on, *options); });
  });
}

}  // namespace godwit::apps
