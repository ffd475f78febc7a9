// images/tiny/stream.h: a numbered stream of lines, its source, and a follower that counts what went missing.
#pragma once

#include "text.h"
#include <cstdint>
#include <mutex>
#include <string>

namespace godwit::tiny {

constexpr std::uint16_t kServicePort = 7000;
constexpr std::uint64_t kMaxPadBytes = kLongestLine - 64;

struct StreamShape {
  std::uint64_t lines_per_s = 100;
  std::uint64_t count = 0;      // 0: until stopped
  std::uint64_t pad_bytes = 0;  // makes each line this much longer
};

// Sends "SEQ n …" lines to the peer until it sends a line, leaves, or `count` is reached; returns how many were sent.
std::uint64_t send_sequence(Line& peer, StreamShape shape);

// Connects to another tiny guest, asks for its sequence and watches it. Any thread.
class Follower {
 public:
  std::string start(const std::string& address, StreamShape shape);  // one at a time
  std::string report();

 private:
  struct Seen {
    std::string state = "idle";  // idle, connecting, up, or why it ended
    std::uint64_t received = 0, next = 0, lost = 0, repeated = 0;
    std::int64_t last_ms = 0, max_gap_ms = 0;
  };
  void run(std::string address, StreamShape shape);
  void note(const std::string& line);
  void end(std::string why);

  std::mutex mutex_;
  Seen seen_;
};

}  // namespace godwit::tiny
