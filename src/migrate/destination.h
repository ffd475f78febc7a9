// One migration as its destination: admission, what QEMU loads, and what follows from the votes.
#pragma once

#include "migrate/context.h"
#include "migrate/control.h"

#include <memory>
#include <optional>

namespace godwit::migrate {

class Destination final {
 public:
  // `record` is on disk. Destroy only after stop().
  Destination(Context& context, Record record);
  Destination(const Destination&) = delete;
  Destination& operator=(const Destination&) = delete;

  // A new one, admitted: answers Hello when its QEMU waits.
  void begin(std::unique_ptr<sys::PeerStream> control, std::vector<std::string> encodings);
  void restore();  // one of an earlier agent
  [[nodiscard]] sys::Task<void> stop();

  // A connection of the same key: a control channel that takes the place of the last, or a data channel.
  void resume(std::unique_ptr<sys::PeerStream> control);
  void join(Channel channel, std::string nonce, std::unique_ptr<sys::PeerStream> wan);

  void direct(const wire::MigrationOrder& order);
  void forget();

  [[nodiscard]] const Record& record() const { return record_; }
  [[nodiscard]] wire::MigrationReport report() const;
  [[nodiscard]] bool may_drop() const;

 private:
  void perform(Step step);
  void act(Act act);
  void say(FrameType type);
  [[nodiscard]] sys::Task<void> ask_cloud();
  [[nodiscard]] sys::Task<void> start();
  [[nodiscard]] sys::Task<void> see_it_whole();
  [[nodiscard]] sys::Task<void> discard();
  [[nodiscard]] sys::Task<void> keep_time();
  void give_up(const Error& why);
  [[nodiscard]] bool open() const { return handover_.ballot().vote == Vote::none; }

  [[nodiscard]] sys::Task<void> run_course(std::unique_ptr<sys::PeerStream> control, std::string encoding);
  [[nodiscard]] sys::Task<Result<>> course(std::unique_ptr<sys::PeerStream> control, std::string encoding);
  [[nodiscard]] sys::Task<void> carry_connection(Channel channel, std::string nonce,
                                                 std::unique_ptr<sys::PeerStream> wan);
  [[nodiscard]] sys::Task<Result<>> carry_one(Channel channel, std::string nonce, std::unique_ptr<sys::PeerStream> wan);
  [[nodiscard]] sys::Task<void> welcome_back(std::unique_ptr<sys::PeerStream> control);
  void take_control(std::unique_ptr<sys::PeerStream> stream);
  [[nodiscard]] sys::Task<void> listen(std::uint64_t generation);
  void hear(const Frame& frame);
  void take_hand_offs(const std::vector<std::string>& shown);

  Context& context_;
  sys::Clock& clock_;
  Log log_;
  Record record_;
  DestinationHandover handover_;
  wire::MigrationPhase phase_{wire::MigrationPhase::preparing};
  wire::MigrationProgress progress_;
  std::string nonce_;  // empty: no data channel may join
  std::unique_ptr<Transfer> transfer_;
  int connections_{0};
  int memory_connections_{0};
  TimePoint memory_ended_at_;  // the last of them
  bool asking_cloud_{false};
  std::optional<TimePoint> released_at_;  // S's vote was heard, from S
  std::optional<Nanos> started_after_;
  TimePoint control_changed_at_;
  std::unique_ptr<DestinationGuest> guest_;
  std::unique_ptr<Control> control_;
  std::uint64_t control_generation_{0};
  sys::Signal changed_;
  sys::Gate course_gate_;
  sys::Gate gate_;
};

// What a destination's record says to the agent.
[[nodiscard]] Standing standing_of_destination(const Record& record);

}  // namespace godwit::migrate
