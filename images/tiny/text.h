// images/tiny/text.h: lines in, lines out, over any file descriptor (a socket, the serial console).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace godwit::tiny {

constexpr std::size_t kLongestLine = 1024;  // longer input is cut: no peer can make us grow

[[gnu::format(printf, 1, 2)]] std::string print(const char* format, ...);
std::vector<std::string> words_of(std::string_view line);
std::optional<std::uint64_t> number_of(std::string_view word);
std::string file_content(const char* path);  // empty where it can't be read

// One end of a conversation. Borrows the descriptors; one thread only.
class Line {
 public:
  Line(int in, int out) : in_(in), out_(out) {}

  // Waits for a line, without its end. Nothing at the end of the stream.
  std::optional<std::string> read();
  // A line is there, or the stream's end is: read() would not wait. Waits at most `wait_ms`.
  bool readable(int wait_ms);
  // Sends `line` and a newline; false once the peer is gone.
  bool write(std::string line);

 private:
  bool fill();

  int in_, out_;
  std::string pending_;
};

}  // namespace godwit::tiny
