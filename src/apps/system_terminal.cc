#include "apps/system_terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

namespace godwit::apps {
namespace {

constexpr std::size_t kUsualColumns = 80;

}  // namespace

void SystemTerminal::out(std::string_view text) { std::cout << text << std::flush; }

void SystemTerminal::err(std::string_view text) { std::cerr << text << std::flush; }

bool SystemTerminal::err_is_terminal() const {
  const char* term = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && term && std::string_view(term) != "dumb";
}

bool SystemTerminal::in_is_terminal() const { return ::isatty(STDIN_FILENO) == 1; }

std::size_t SystemTerminal::columns() const {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kUsualColumns;
  return size.ws_col;
}

std::string SystemTerminal::read_line() {
  std::string line;
  std::getline(std::cin, line);
  return line;
}

std::string SystemTerminal::read_all(std::size_t limit_bytes) {
  std::string text(limit_bytes, '\0');
  std::cin.read(text.data(), static_cast<std::streamsize>(limit_bytes));
  text.resize(static_cast<std::size_t>(std::cin.gcount()));
  return text;
}

}  // namespace godwit::apps
