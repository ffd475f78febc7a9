#include "stream.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

namespace godwit::tiny {
namespace {

constexpr std::uint64_t kTicksPerSecond = 100;

std::int64_t now_ms() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

}  // namespace

std::uint64_t send_sequence(Line& peer, StreamShape shape) {
  // Slow streams go line by line; fast ones in batches, a tick apart.
  const std::uint64_t rate = std::max<std::uint64_t>(shape.lines_per_s, 1);
  const std::uint64_t batch = std::max<std::uint64_t>(rate / kTicksPerSecond, 1);
  const int pause_ms = static_cast<int>(1000 * batch / rate);
  const std::string pad(std::min(shape.pad_bytes, kMaxPadBytes), '.');
  std::uint64_t next = 0;
  while (shape.count == 0 || next < shape.count) {
    std::string lines;
    const std::uint64_t end = shape.count == 0 ? next + batch : std::min(next + batch, shape.count);
    for (; next < end; ++next) lines += print("SEQ %lu ", next) + pad + '\n';
    lines.pop_back();
    if (!peer.write(std::move(lines)) || peer.readable(pause_ms)) break;
  }
  return next;
}

std::string Follower::start(const std::string& address, StreamShape shape) {
  const std::lock_guard guard(mutex_);
  if (seen_.state == "connecting" || seen_.state == "up") return "ERR already following";
  in_addr parsed{};
  if (inet_pton(AF_INET, address.c_str(), &parsed) != 1) return "ERR not an IPv4 address: " + address;
  seen_ = Seen{.state = "connecting"};
  std::thread([this, address, shape] { run(address, shape); }).detach();
  return "OK";
}

void Follower::run(std::string address, StreamShape shape) {
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(kServicePort);
  inet_pton(AF_INET, address.c_str(), &peer.sin_addr);
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(socket, reinterpret_cast<sockaddr*>(&peer), sizeof peer) != 0) {
    end(std::string("connect-") + strerrorname_np(errno));
  } else {
    Line line(socket, socket);
    line.write(print("SEQ %lu %lu %lu", shape.lines_per_s, shape.count, shape.pad_bytes));
    while (auto got = line.read()) {
      if (got->starts_with("OK")) break;
      note(*got);
    }
    end("ended");
  }
  close(socket);
}

void Follower::note(const std::string& line) {
  const auto words = words_of(line);
  if (words.size() < 2 || words[0] != "SEQ") return;
  const std::uint64_t number = number_of(words[1]).value_or(0);
  const std::lock_guard guard(mutex_);
  const std::int64_t now = now_ms();
  if (seen_.received++ > 0) seen_.max_gap_ms = std::max(seen_.max_gap_ms, now - seen_.last_ms);
  seen_.state = "up";
  seen_.last_ms = now;
  if (number > seen_.next) seen_.lost += number - seen_.next;
  if (number < seen_.next) ++seen_.repeated;
  seen_.next = std::max(seen_.next, number + 1);
}

void Follower::end(std::string why) {
  const std::lock_guard guard(mutex_);
  seen_.state = std::move(why);
}

std::string Follower::report() {
  const std::lock_guard guard(mutex_);
  const std::int64_t silent_ms = seen_.received > 0 ? now_ms() - seen_.last_ms : 0;
  return print("OK state=%s received=%lu lost=%lu repeated=%lu max_gap_ms=%ld silent_ms=%ld", seen_.state.c_str(),
               seen_.received, seen_.lost, seen_.repeated, seen_.max_gap_ms, silent_ms);
}

}  // namespace godwit::tiny
