#include "text.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <charconv>
#include <cstdarg>
#include <cstdio>

namespace godwit::tiny {

std::string print(const char* format, ...) {
  char text[kLongestLine];
  va_list values;
  va_start(values, format);
  vsnprintf(text, sizeof text, format, values);
  va_end(values);
  return text;
}

std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  for (std::size_t at = line.find_first_not_of(' '); at != line.npos; at = line.find_first_not_of(' ', at)) {
    const std::size_t end = std::min(line.find(' ', at), line.size());
    words.emplace_back(line.substr(at, end - at));
    at = end;
  }
  return words;
}

std::optional<std::uint64_t> number_of(std::string_view word) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  return number;
}

std::string file_content(const char* path) {
  std::string content;
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return content;
  char some[1024];
  for (ssize_t got; (got = ::read(file, some, sizeof some)) > 0;) content.append(some, static_cast<std::size_t>(got));
  close(file);
  while (!content.empty() && content.back() == '\n') content.pop_back();
  return content;
}

bool Line::fill() {
  char some[512];
  const ssize_t got = ::read(in_, some, sizeof some);
  if (got <= 0) return false;
  for (const char c : std::string_view(some, static_cast<std::size_t>(got))) pending_ += c == '\r' ? '\n' : c;
  return true;
}

std::optional<std::string> Line::read() {
  for (;;) {
    const std::size_t end = pending_.find('\n');
    if (end != pending_.npos || pending_.size() >= kLongestLine) {
      std::string line = pending_.substr(0, end);
      pending_.erase(0, end == pending_.npos ? end : end + 1);
      return line;
    }
    if (!fill()) return std::nullopt;
  }
}

bool Line::readable(int wait_ms) {
  if (pending_.find('\n') != pending_.npos) return true;
  pollfd one{in_, POLLIN, 0};
  return poll(&one, 1, wait_ms) > 0;
}

bool Line::write(std::string line) {
  line += '\n';
  for (std::string_view rest = line; !rest.empty();) {
    const ssize_t sent = ::write(out_, rest.data(), rest.size());
    if (sent <= 0) return false;
    rest.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace godwit::tiny
