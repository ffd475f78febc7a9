// A QEMU as migrations see it, without its monitor: a process with a guest that counts in memory and on disk, a mirror,
// a migration stream, and an NBD server. Its disk is a file of its host.
#pragma once

#include "sim/host.h"
#include "sim/process.h"
#include "sys/task.h"

#include <functional>
#include <string>

namespace godwit::simtest {

// What must hold in every world at every moment; all guests of one instance report here.
struct Oracle {
  std::string problem;            // the first thing that was wrong
  std::uint64_t acknowledged{0};  // the last disk write that a guest was told to be safe
  int running{0};
  bool restless{false};  // guests dirty memory faster than it can be sent

  void blame(std::string what) {
    if (problem.empty()) problem = std::move(what);
  }
};

// in_part: by post-copy the devices are there and the rest of the memory follows; lost: it never will.
enum class Status : std::uint8_t { none, active, paused, failed, in_part, completed, lost };

class FakeQemu final : public sim::Program {
 public:
  // `incoming`: waits for memory on DIRECTORY/memory.sock and serves its disk on DIRECTORY/disk.sock.
  FakeQemu(sim::Process& process, Oracle& oracle, std::string directory, bool incoming);
  ~FakeQemu() override;

  // The source's part. Each returns at once; how it goes is in the fields below.
  void start_disk(std::string socket);
  void start_memory(std::string socket);
  void end_disk() { disk_wanted_ = false; }
  void continue_switchover() { continue_ = true; }
  void start_post_copy() { post_copy_ = true; }
  void resume();  // gives all of these up; of a post-copy that was cut, the memory is lost, and this ends

  // The destination's.
  void stop_serving();  // the disk
  void start();
  [[nodiscard]] bool running() const { return running_; }

  Status disk{Status::none};    // active, then paused while it follows, completed when ended in order
  Status memory{Status::none};  // both directions
  std::uint64_t sent_bytes{0};
  std::uint32_t rounds{0};

  [[nodiscard]] static std::string disk_path(const std::string& directory) { return directory + "/disk"; }

 private:
  void run(bool yes);
  [[nodiscard]] sys::Task<void> guest();
  [[nodiscard]] sys::Task<void> mirror(std::string socket);
  [[nodiscard]] sys::Task<Result<>> mirror_to(std::string socket);
  [[nodiscard]] sys::Task<void> send_memory(std::string socket);
  [[nodiscard]] sys::Task<Result<>> send_memory_to(std::string socket);
  [[nodiscard]] sys::Task<Result<>> send_round(sys::Stream* stream);
  [[nodiscard]] sys::Task<void> serve_disk(std::unique_ptr<sys::Listener> listener);
  [[nodiscard]] sys::Task<void> load_memory(std::unique_ptr<sys::Listener> listener);
  [[nodiscard]] sys::Task<Result<>> load_from(std::unique_ptr<sys::Stream> stream);
  [[nodiscard]] std::uint64_t disk_count() const;
  void write_disk(std::uint64_t count);  // to the page cache

  sim::Process& process_;
  sys::Runtime& runtime_;
  Oracle& oracle_;
  std::string directory_;
  bool running_{false};
  bool frozen_{false};  // by a switchover; a failure thaws it
  bool disk_wanted_{true};
  bool continue_{false};
  bool post_copy_{false};
  std::uint64_t memory_count_{0};
  std::unique_ptr<sys::Gate> jobs_;     // mirror and migration
  std::unique_ptr<sys::Gate> serving_;  // the NBD server
  sys::Gate gate_;
};

}  // namespace godwit::simtest
