// A simulated QEMU's two parts in a migration. The stream is the simulation's own: an 8-byte magic, then frames of
// u8 kind, u32 length, data; the destination answers one byte when all is loaded.
#pragma once

#include "sim/qemu_core.h"
#include "sim/qemu_mirror.h"

#include <memory>
#include <string>

namespace godwit::sim {

struct MigrationParameters {
  bool return_path{false};
  bool pause_before_switchover{false};
  bool post_copy{false};
  std::uint64_t downtime_limit_ms{300};
  std::uint64_t max_bytes_per_s{128UL * 1024 * 1024};  // QEMU's default
  std::uint64_t max_post_copy_bytes_per_s{0};          // no limit
};

// At the source. By post-copy the device state goes before the rest of the memory, and from then on QEMU never resumes
// by itself: a connection that is lost leaves it "postcopy-paused", and a cancel then never ends.
class QemuOutgoing final {
 public:
  // `drained` is called where the vCPUs were stopped, before the disks are flushed.
  QemuOutgoing(QemuCore& core, MigrationParameters& parameters, std::function<void()> drained);

  // Errors: conflict, in QEMU's words. A peer that is not there fails later, by event.
  [[nodiscard]] Result<> start(const std::string& socket);
  [[nodiscard]] Result<> go_on(const std::string& from);
  [[nodiscard]] Result<> start_post_copy();
  void cancel();
  [[nodiscard]] json::object describe() const;

 private:
  void become(const std::string& status);
  [[nodiscard]] bool under_way() const;
  [[nodiscard]] sys::Task<void> migrate(std::string socket);
  [[nodiscard]] sys::Task<Result<>> send(std::shared_ptr<sys::Stream> stream);
  [[nodiscard]] sys::Task<Result<>> send_rounds(std::shared_ptr<sys::Stream> stream);
  [[nodiscard]] sys::Task<Result<>> send_pages(std::shared_ptr<sys::Stream> stream, std::uint64_t bytes);
  [[nodiscard]] sys::Task<Result<>> pause();
  [[nodiscard]] sys::Task<Result<>> send_rest(std::shared_ptr<sys::Stream> stream);
  [[nodiscard]] sys::Task<Result<>> send_post_copy(std::shared_ptr<sys::Stream> stream);
  [[nodiscard]] ByteVector devices() const;
  [[nodiscard]] sys::Task<void> linger(std::shared_ptr<sys::Stream> stream, int attempt);
  [[nodiscard]] sys::Task<void> wait_for(Nanos span);
  [[nodiscard]] sys::Task<void> finish(Result<> sent);

  QemuCore& core_;
  MigrationParameters& parameters_;
  std::function<void()> drained_;
  std::string status_;  // empty: none
  int attempt_{0};
  std::uint64_t passes_{0};
  std::uint64_t remaining_{0};
  std::uint64_t sent_{0};
  std::uint64_t post_copy_bytes_{0};
  bool post_copy_wanted_{false};
  bool post_copying_{false};  // decided at the pause
  bool handed_over_{false};   // the device state is gone: from here on a loss is "postcopy-paused"
  bool ran_before_{false};
  bool continue_{false};
  bool cancelled_{false};
  bool failed_on_disk_{false};
  std::shared_ptr<sys::Stream> stream_;  // shared with what it is sent by, which outlives a cancel
  sys::Signal news_;
  sys::Gate gate_;
};

// At the destination; good for one attempt.
class QemuIncoming final {
 public:
  explicit QemuIncoming(QemuCore& core);

  [[nodiscard]] Result<> start(const std::string& socket);
  [[nodiscard]] bool started() const { return !socket_.empty(); }
  [[nodiscard]] json::object describe() const;

 private:
  [[nodiscard]] sys::Task<void> load(std::unique_ptr<sys::Listener> listener);
  [[nodiscard]] sys::Task<Result<>> load_from(sys::Stream* stream);
  [[nodiscard]] sys::Task<Result<>> load_rest(sys::Stream* stream);
  void become(const std::string& status);

  QemuCore& core_;
  std::string socket_;
  std::string status_;
  bool in_part_{false};  // more memory follows the device state
  std::unique_ptr<MainLoop::Hold> deaf_;
  sys::Gate gate_;
};

}  // namespace godwit::sim
