// One connection of QEMU at the destination, rebuilt from what the source shrank.
#pragma once

#include "migrate/answers.h"
#include "migrate/batch_decoder.h"
#include "migrate/channel.h"
#include "migrate/shrink_frames.h"
#include "sys/task.h"
#include "wire/nbd_greeting.h"

#include <deque>
#include <optional>

namespace godwit::migrate {

class ShrinkDestination final {
 public:
  ShrinkDestination(const sys::Executor& executor, Arrivals& arrivals, Channel channel, DestinationRoom room);

  [[nodiscard]] sys::Task<Result<>> forth(sys::Stream& wan, sys::Stream& local);
  [[nodiscard]] sys::Task<Result<>> back(sys::Stream& local, sys::Stream& wan);

 private:
  [[nodiscard]] sys::Task<Result<>> take_next(sys::Stream& wan, sys::Stream& local);
  [[nodiscard]] sys::Task<Result<>> pass_on(std::size_t bytes, sys::Stream& wan, sys::Stream& local);
  [[nodiscard]] sys::Task<Result<>> take(ReceivedFrame frame, sys::Stream& local);
  [[nodiscard]] sys::Task<Result<>> give(ReceivedFrame frame, sys::Stream& local);
  [[nodiscard]] sys::Task<Result<>> rebuild(ByteVector payload, bool again, sys::Stream& local);
  [[nodiscard]] Result<> greet(const ReceivedFrame& frame);
  [[nodiscard]] sys::Task<Result<>> read_local(sys::Stream& local);
  [[nodiscard]] sys::Task<Result<>> write_wan(sys::Stream& wan, sys::Stream& local);
  [[nodiscard]] sys::Task<Result<>> answer();
  [[nodiscard]] Result<> queue_question(ReceivedFrame frame);
  void say(ShrinkFrame type, ByteView payload);
  void end();

  Arrivals& arrivals_;
  DestinationRoom room_;
  std::optional<BatchDecoder> decoder_;  // from hello on
  std::optional<wire::NbdGreeting> greeting_;
  Answers answers_;
  std::deque<ReceivedFrame> asked_;
  std::size_t asked_bytes_{0};
  sys::Signal changed_;
  ByteVector to_say_;
  bool unkept_said_{false};
  bool lacks_{false};  // the next batch comes again; those behind it wait here
  std::deque<ReceivedFrame> held_;
  std::size_t held_bytes_{0};
  ByteVector passing_;  // what goes on as it comes
  bool local_ended_{false};
  bool wan_ended_{false};
  bool over_{false};
};

}  // namespace godwit::migrate
