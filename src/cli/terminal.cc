#include "cli/terminal.h"

#include "cli/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace godwit::cli {
namespace {

constexpr std::size_t kLinesAtOnce = 20;  // a block higher than the terminal could not be drawn over

}  // namespace

bool confirm(Terminal& terminal, std::string_view question) {
  if (!terminal.in_is_terminal()) return false;
  terminal.err(fmt::format("{} [y/N] ", question));
  const auto answer = terminal.read_line();
  return answer == "y" || answer == "yes";
}

void LiveLines::draw(const std::vector<std::string>& lines) {
  if (!shown()) return;
  std::string text = drawn_ ? fmt::format("\x1b[{}A", drawn_) : "";
  const auto count = std::min(lines.size(), kLinesAtOnce);
  for (std::size_t i = 0; i < count; ++i) {
    const bool more = i + 1 == count && lines.size() > count;
    const auto line = more ? fmt::format("… and {} more", lines.size() - i) : lines[i];
    text += "\r\x1b[2K" + cut_to(line, terminal_.columns() > 1 ? terminal_.columns() - 1 : 1) + "\n";
  }
  text += "\x1b[J";
  terminal_.err(text);
  drawn_ = count;
}

void LiveLines::clear() {
  if (drawn_) terminal_.err(fmt::format("\x1b[{}A\r\x1b[J", drawn_));
  drawn_ = 0;
}

}  // namespace godwit::cli
