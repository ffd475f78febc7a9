// The logging facade: a cheap handle that modules are given. Where lines go is decided by main() or a test.
// Never log a secret: keys, tokens, tickets' signatures, user data.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace godwit {

enum class LogLevel : std::uint8_t { debug = 1, info, warn, error };

class LogSink {
 public:
  virtual ~LogSink() = default;
  [[nodiscard]] virtual bool wants(LogLevel level) const = 0;
  // Any thread. `component` names the writer ("agent", "migrate").
  virtual void write(LogLevel level, std::string_view component, std::string_view line) = 0;
};

// A value: copies share the sink, which must outlive them. Default-constructed, it drops every line.
class Log {
 public:
  Log() = default;
  Log(LogSink& sink, std::string component) : sink_(&sink), component_(std::move(component)) {}

  [[nodiscard]] Log named(std::string component) const {
    Log other = *this;
    other.component_ = std::move(component);
    return other;
  }

  template <class... A>
  void debug(fmt::format_string<A...> format, A&&... args) const {
    write(LogLevel::debug, format, std::forward<A>(args)...);
  }
  template <class... A>
  void info(fmt::format_string<A...> format, A&&... args) const {
    write(LogLevel::info, format, std::forward<A>(args)...);
  }
  template <class... A>
  void warn(fmt::format_string<A...> format, A&&... args) const {
    write(LogLevel::warn, format, std::forward<A>(args)...);
  }
  template <class... A>
  void error(fmt::format_string<A...> format, A&&... args) const {
    write(LogLevel::error, format, std::forward<A>(args)...);
  }

 private:
  template <class... A>
  void write(LogLevel level, fmt::format_string<A...> format, A&&... args) const {
    if (sink_ && sink_->wants(level)) sink_->write(level, component_, fmt::format(format, std::forward<A>(args)...));
  }

  LogSink* sink_{nullptr};
  std::string component_;
};

}  // namespace godwit
