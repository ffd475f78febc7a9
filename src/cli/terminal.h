// Where a command's words go, and where its questions are answered.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace godwit::cli {

class Terminal {
 public:
  virtual ~Terminal() = default;
  virtual void out(std::string_view text) = 0;  // results: what a pipe gets
  virtual void err(std::string_view text) = 0;  // everything else: errors, questions, progress
  [[nodiscard]] virtual bool err_is_terminal() const = 0;
  [[nodiscard]] virtual bool in_is_terminal() const = 0;
  [[nodiscard]] virtual std::size_t columns() const = 0;  // of err, when it is a terminal
  // One line of the input without its newline; empty at its end.
  [[nodiscard]] virtual std::string read_line() = 0;
  // All of the input, at most `limit_bytes`.
  [[nodiscard]] virtual std::string read_all(std::size_t limit_bytes) = 0;
};

// True when a person answered "yes" or "y". False without asking where nobody can be asked.
[[nodiscard]] bool confirm(Terminal& terminal, std::string_view question);

// Lines that are drawn over again while something goes on. On anything but a terminal they are not shown at all: there
// the caller says what happens in lines of its own.
class LiveLines {
 public:
  explicit LiveLines(Terminal& terminal) : terminal_(terminal) {}
  ~LiveLines() { clear(); }
  LiveLines(const LiveLines&) = delete;
  LiveLines& operator=(const LiveLines&) = delete;

  [[nodiscard]] bool shown() const { return terminal_.err_is_terminal(); }
  void draw(const std::vector<std::string>& lines);
  void clear();
  // Leaves what is drawn where it is.
  void keep() { drawn_ = 0; }

 private:
  Terminal& terminal_;
  std::size_t drawn_{0};
};

}  // namespace godwit::cli
