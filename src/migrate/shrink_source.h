// One connection of QEMU at the source, shrunk.
#pragma once

#include "migrate/batch_encoder.h"
#include "migrate/channel.h"
#include "migrate/inquiry.h"
#include "migrate/pace.h"
#include "migrate/shrink_frames.h"
#include "migrate/speed.h"
#include "sys/task.h"
#include "wire/stretches.h"

#include <deque>

namespace godwit::migrate {

// The directions forth and back run side by side; one that fails is followed by close() of both streams.
class ShrinkSource final {
 public:
  ShrinkSource(const sys::Executor& executor, sys::Clock& clock, Departure& departure, std::uint32_t connection,
               Channel channel, SourceRoom room, std::uint64_t& wan_bytes);

  [[nodiscard]] sys::Task<Result<>> forth(sys::Stream& local, sys::Stream& wan);
  [[nodiscard]] sys::Task<Result<>> back(sys::Stream& wan, sys::Stream& local);

 private:
  [[nodiscard]] sys::Task<Result<>> read_local(sys::Stream& local, sys::Stream& wan);
  [[nodiscard]] sys::Task<Result<std::size_t>> read_some(sys::Stream& local, ByteSpan into);
  [[nodiscard]] sys::Task<Result<>> write_wan(sys::Stream& wan, sys::Stream& local);
  [[nodiscard]] sys::Task<Result<>> write_next(sys::Stream& wan);
  [[nodiscard]] sys::Task<Result<>> pass_next(sys::Stream& wan);
  [[nodiscard]] sys::Task<Result<>> pass_by(sys::Stream& wan, ByteSpan framed);
  void note(Nanos encoding, Nanos writing, std::size_t bytes, std::size_t left_bytes);
  void passed(std::size_t bytes);
  [[nodiscard]] sys::Task<Result<>> send(sys::Stream& wan, ShrinkFrame type, ByteVector payload);
  [[nodiscard]] sys::Task<Result<>> bring_alike();
  [[nodiscard]] Result<> hear(const ReceivedFrame& frame);
  [[nodiscard]] Result<> hear_answer(const ReceivedFrame& frame);
  [[nodiscard]] Result<> welcomed(const ShrinkWelcome& welcome);
  void end();
  [[nodiscard]] std::size_t waiting_bytes() const { return waiting_.size() - taken_; }
  void see_distance(std::uint64_t acknowledged);
  [[nodiscard]] bool may_read() const;
  [[nodiscard]] bool may_pass_by() const;
  [[nodiscard]] bool may_write();
  [[nodiscard]] std::size_t window() const;
  [[nodiscard]] sys::Task<void> wait();
  [[nodiscard]] Backlog backlog() const;
  void take(std::size_t bytes, std::size_t stretches);
  void take_in(ByteVector& buffer, std::size_t size);
  void keep(ByteVector& buffer, std::size_t size);
  void drop_taken();
  void ask();

  sys::Clock& clock_;
  Departure& departure_;
  std::uint32_t connection_;
  ShrinkHello hello_;
  Channel channel_;
  SourceRoom room_;
  std::size_t window_bytes_{kWindowLeast_bytes};
  std::uint64_t& wan_bytes_;
  BatchEncoder encoder_;
  Inquiry inquiry_;
  std::unique_ptr<wire::StretchReader> reader_;
  sys::Signal changed_;
  // What QEMU gave and no batch has yet: from `taken_` on, and the stretches that cover that.
  ByteVector waiting_;
  std::size_t taken_{0};
  std::deque<wire::Stretch> stretches_;
  std::vector<wire::Stretch> stretches_passed_;  // of what went on at once, for their number
  std::uint64_t taken_bytes_{0};                 // since the begin
  std::uint64_t taken_stretches_{0};
  Speed speed_;  // of what is taken
  struct Question {
    ShrinkFrame type{};
    ByteVector payload;
  };
  std::deque<Question> to_ask_;
  std::deque<std::vector<content::PageDigest>> to_bring_;  // from this host's own cloud
  std::deque<std::uint64_t> lacking_;
  Pace pace_;
  struct Asked {
    std::uint64_t batch{0};
    TimePoint at;
  };
  std::optional<Asked> unanswered_;  // when that batch began to leave: how far the other end is
  TimePoint noted_;                  // when pace_ was told last
  Nanos starved_{};                  // since then: waited for QEMU with nothing to do
  bool writing_{true};               // write_wan() is at it
  bool passing_{false};              // what is read goes on at once, and write_wan() waits
  double shrunk_to_{1};              // of the last bytes, what stood on the wire
  bool local_ended_{false};
  bool end_said_{false};
  bool over_{false};
};

}  // namespace godwit::migrate
