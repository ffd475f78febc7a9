// One migration as its source: the course from the order to the vote (source_course.cc), and what follows from the
// votes (source.cc).
#pragma once

#include "migrate/context.h"
#include "migrate/control.h"
#include "migrate/convergence.h"

#include <memory>
#include <optional>

namespace godwit::migrate {

class Source final {
 public:
  // `record` is on disk. Destroy only after stop().
  Source(Context& context, Record record);
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  void begin();    // a new one
  void restore();  // one of an earlier agent
  [[nodiscard]] sys::Task<void> stop();

  // Cancel, the cloud's vote, a person's word.
  void direct(const wire::MigrationOrder& order);
  void forget();

  [[nodiscard]] const Record& record() const { return record_; }
  [[nodiscard]] wire::MigrationReport report() const;
  // The cloud knows the end, and D has heard it or needs nobody to say it.
  [[nodiscard]] bool may_drop() const;

 private:
  // What the votes ask for.
  void perform(Step step);
  void act(Act act);
  void say(FrameType type);
  [[nodiscard]] sys::Task<void> ask_cloud();
  [[nodiscard]] sys::Task<void> resume();
  [[nodiscard]] sys::Task<Result<>> resume_once();
  [[nodiscard]] sys::Task<void> discard();
  [[nodiscard]] sys::Task<void> keep_time();
  void give_up(const Error& why);
  [[nodiscard]] bool open() const { return handover_.ballot().vote == Vote::none; }

  // The control channel.
  [[nodiscard]] sys::Task<void> stay_connected();
  [[nodiscard]] sys::Task<Result<>> reconnect();
  [[nodiscard]] sys::Task<Result<std::unique_ptr<sys::PeerStream>>> dial();
  void take_control(std::unique_ptr<sys::Stream> stream);
  [[nodiscard]] sys::Task<void> listen();
  void hear(const Frame& frame);

  // The course.
  [[nodiscard]] sys::Task<void> run_course();
  [[nodiscard]] sys::Task<Result<>> course();
  [[nodiscard]] sys::Task<Result<>> copy();
  [[nodiscard]] sys::Task<Result<>> fail_when_dead();
  [[nodiscard]] sys::Task<Result<>> connect();
  [[nodiscard]] sys::Task<Result<>> copy_disk();
  [[nodiscard]] sys::Task<Result<>> copy_memory();
  [[nodiscard]] sys::Task<Result<>> switch_over();
  [[nodiscard]] sys::Task<Result<>> await_vote();
  [[nodiscard]] Result<> serve(Channel channel, const std::string& path, unsigned owner_uid);
  [[nodiscard]] sys::Task<void> accept_connections(Channel channel, std::unique_ptr<sys::Listener> listener);
  [[nodiscard]] sys::Task<void> carry_connection(Channel channel, std::unique_ptr<sys::Stream> local);
  [[nodiscard]] sys::Task<Result<>> carry_one(Channel channel, std::unique_ptr<sys::Stream> local);
  [[nodiscard]] sys::Task<void> watch_progress();
  [[nodiscard]] sys::Task<void> watch_post_copy();
  [[nodiscard]] sys::Task<void> await_turn();
  [[nodiscard]] sys::Task<Result<>> take_turn();
  [[nodiscard]] sys::Task<Result<>> note_progress();
  [[nodiscard]] sys::Task<Result<>> help_convergence();
  [[nodiscard]] sys::Task<Result<>> try_post_copy();
  [[nodiscard]] bool ends_soon() const;
  [[nodiscard]] Error not_converged() const;
  void note_cost();
  [[nodiscard]] Nanos time_left() const;
  void enter(wire::MigrationPhase phase);

  Context& context_;
  sys::Clock& clock_;
  Log log_;
  Record record_;
  SourceHandover handover_;
  wire::MigrationPhase phase_{wire::MigrationPhase::ordered};
  wire::MigrationProgress progress_;
  Convergence convergence_;
  TimePoint began_at_;
  std::optional<TimePoint> paused_at_;
  std::optional<TimePoint> released_at_;  // S's vote was sent to D
  TimePoint open_since_;                  // the last vote of ours
  bool hello_sent_{false};
  bool asking_cloud_{false};
  std::string post_copy_problem_;  // what the destination has against it
  bool may_pause_{false};          // as QEMU was told
  bool post_copy_tried_{false};
  bool post_copying_{false};
  std::string nonce_;
  std::unique_ptr<Transfer> transfer_;
  std::unique_ptr<SourceGuest> guest_;
  std::unique_ptr<Control> control_;
  sys::Signal changed_;    // of handover_ or control_
  sys::Gate course_gate_;  // the course and its data: what an end by votes ends
  sys::Gate gate_;
};

// What a source's record says to the agent.
[[nodiscard]] Standing standing_of_source(const Record& record);

}  // namespace godwit::migrate
