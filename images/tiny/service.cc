#include "service.h"

#include <fcntl.h>
#include <sys/reboot.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include <algorithm>
#include <ctime>

namespace godwit::tiny {
namespace {

constexpr const char* kUsage =
    "ERR commands: ECHO PING SEQ DIRTY CHECK WRITE WRITES READ SUM FOLLOW FOLLOWED STAT SH POWEROFF REBOOT PANIC";

std::uint64_t number_at(const std::vector<std::string>& words, std::size_t index, std::uint64_t otherwise) {
  return index < words.size() ? number_of(words[index]).value_or(otherwise) : otherwise;
}

StreamShape shape_at(const std::vector<std::string>& words, std::size_t index) {
  const StreamShape usual;
  return {.lines_per_s = number_at(words, index, usual.lines_per_s),
          .count = number_at(words, index + 1, usual.count),
          .pad_bytes = number_at(words, index + 2, usual.pad_bytes)};
}

void stop_machine(int how) {
  sync();
  reboot(how);
}

void panic() {
  const int trigger = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);
  if (write(trigger, "c", 1) != 1) perror("sysrq-trigger");
}

}  // namespace

void Service::serve(Line peer) {
  while (auto line = peer.read())
    if (!line->empty() && !answer(peer, *line)) return;
}

bool Service::answer(Line& peer, const std::string& line) {
  const Words words = words_of(line);
  if (words.empty()) return true;
  const std::string& command = words[0];
  const std::string rest = line.substr(std::min(line.size(), line.find(command) + command.size() + 1));
  const bool numbered = words.size() > 1 && number_of(words[1]);
  if (command == "ECHO") return peer.write("OK " + rest);
  if (command == "PING") return peer.write("OK");
  if (command == "STAT") return peer.write(status());
  if (command == "SEQ") return peer.write(print("OK %lu", send_sequence(peer, shape_at(words, 1))));
  if (command == "DIRTY") return peer.write(memory_.set(number_at(words, 1, 0), number_at(words, 2, 0)));
  if (command == "CHECK") return peer.write(memory_.check());
  if (command == "WRITE" && numbered) return peer.write(disk_.write(*number_of(words[1]), number_at(words, 2, 0)));
  if (command == "WRITES" && numbered) return write_records(peer, words);
  if (command == "READ" && numbered) return peer.write(disk_.read(*number_of(words[1])));
  if (command == "SUM")
    return peer.write(
        disk_.sum(number_at(words, 1, 0), words.size() > 2 ? number_of(words[2]) : std::optional<std::uint64_t>()));
  if (command == "FOLLOW" && words.size() > 1) return peer.write(follower_.start(words[1], shape_at(words, 2)));
  if (command == "FOLLOWED") return peer.write(follower_.report());
  if (command == "SH") return shell(peer, rest);
  if (command == "POWEROFF") stop_machine(RB_POWER_OFF);
  if (command == "REBOOT") stop_machine(RB_AUTOBOOT);
  if (command == "PANIC") panic();
  return peer.write(kUsage);
}

std::string Service::status() {
  timespec up{};
  clock_gettime(CLOCK_MONOTONIC, &up);
  struct sysinfo now{};
  sysinfo(&now);
  return print("OK boot=%s uptime_ms=%ld %s memory_kib=%lu disk_records=%lu",
               file_content("/proc/sys/kernel/random/boot_id").c_str(), up.tv_sec * 1000 + up.tv_nsec / 1'000'000,
               network_facts().c_str(), now.totalram * now.mem_unit / 1024, disk_.records());
}

bool Service::write_records(Line& peer, const Words& words) {
  const std::uint64_t rate = std::max<std::uint64_t>(number_at(words, 2, 100), 1);
  const std::uint64_t version = number_at(words, 3, 0);
  for (std::uint64_t record = *number_of(words[1]);; ++record) {
    const std::string answer = disk_.write(record, version);
    if (!peer.write(answer)) return false;
    if (answer.starts_with("ERR") || peer.readable(static_cast<int>(1000 / rate))) return true;
  }
}

bool Service::shell(Line& peer, const std::string& command) {
  int process_id = -1;
  const int output = start_shell(command, process_id);
  if (output < 0) return peer.write("ERR no shell");
  Line lines(output, -1);
  bool there = true;
  while (auto line = lines.read()) there = there && peer.write(": " + *line);
  close(output);
  int status = 0;
  waitpid(process_id, &status, 0);
  return there && peer.write(print("OK %d", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)));
}

}  // namespace godwit::tiny
