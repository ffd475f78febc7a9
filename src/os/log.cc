#include "os/log.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace godwit::os {
namespace {

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info ";
    case LogLevel::warn: return "warn ";
    case LogLevel::error: return "error";
  }
  return "error";
}

}  // namespace

struct StderrLog::Impl {
  Impl() : logger("godwit", std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
    logger.set_formatter(
        std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%S.%eZ %v", spdlog::pattern_time_type::utc));
    logger.set_level(spdlog::level::trace);  // wants() has decided
    logger.flush_on(spdlog::level::trace);
  }
  spdlog::logger logger;
};

StderrLog::StderrLog(LogLevel least) : least_(least), impl_(std::make_unique<Impl>()) {}
StderrLog::~StderrLog() = default;

void StderrLog::write(LogLevel level, std::string_view component, std::string_view line) {
  impl_->logger.info("{} {}: {}", name_of(level), component, escape_controls(line));
}

Result<LogLevel> parse_log_level(std::string_view text) {
  if (text == "debug") return LogLevel::debug;
  if (text == "info") return LogLevel::info;
  if (text == "warn") return LogLevel::warn;
  if (text == "error") return LogLevel::error;
  return fail(Errc::invalid_argument, "log level \"{}\": must be debug, info, warn or error", text);
}

std::string escape_controls(std::string_view line) {
  std::string out;
  out.reserve(line.size());
  for (const char c : line) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (code < 0x20 || code == 0x7f) {
      out += fmt::format("\\x{:02x}", code);
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace godwit::os
