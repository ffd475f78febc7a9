// Log lines to a descriptor, one a line: "2026-01-31T12:00:00.123Z info  agent: adopted i-0123".
#pragma once

#include "base/log.h"
#include "base/result.h"

#include <memory>

namespace godwit::os {

class StderrLog final : public LogSink {
 public:
  explicit StderrLog(LogLevel least);
  ~StderrLog() override;

  [[nodiscard]] bool wants(LogLevel level) const override { return level >= least_; }
  // Control characters are escaped: what a stranger sent cannot forge a line.
  void write(LogLevel level, std::string_view component, std::string_view line) override;

 private:
  struct Impl;
  LogLevel least_;
  std::unique_ptr<Impl> impl_;
};

// "debug", "info", "warn" or "error". Errors: invalid_argument.
[[nodiscard]] Result<LogLevel> parse_log_level(std::string_view text);

// `line` with \n, \t, other control characters and DEL written as escapes.
[[nodiscard]] std::string escape_controls(std::string_view line);

}  // namespace godwit::os
