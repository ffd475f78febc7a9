// Puts one peer's slices together to records again. Format: docs/protocols/overlay.md. Pure.
//
// What lies in one slice whole is given on where it lies. A record that goes over several is joined in the order of the
// session's counter, so that a datagram which is lost, late or doubled costs the records that it carried, and no
// others; and of a super-frame no more than the segments that it carried a part of: overlay/salvage.h.
#pragma once

#include "overlay/record.h"
#include "sys/clock.h"

#include <deque>
#include <optional>
#include <vector>

namespace godwit::overlay {

// A slice that is missing is taken for lost when so many later ones have come, or after so long.
constexpr std::uint64_t kReorderedSlices = 16;
constexpr Millis kReorderedTime{2};
// And where nothing has come since for so long, what is there of a super-frame is not kept back any longer.
constexpr Millis kSlowTime{20};
constexpr std::size_t kMostOpenRecords = 8;            // that wait for their next slice, a peer
constexpr std::size_t kMostEarlyBytes = 128UL * 1024;  // of slices that came before their turn, a peer

struct Record {
  RecordHeader header;
  ByteSpan payload;
};

// Memory for records that were joined, shared by the assemblers of a switch: nothing is allocated in the long run.
class JoinBuffers {
 public:
  static constexpr std::size_t kMostFree = 64;

  [[nodiscard]] ByteVector take();
  // Not needed any more, at once, or after the batch.
  void give(ByteVector buffer);
  ByteSpan give_later(ByteVector buffer);
  void end_batch();

 private:
  std::vector<ByteVector> free_;
  std::vector<ByteVector> lent_;
};

class Assembler {
 public:
  explicit Assembler(JoinBuffers& buffers) : buffers_(&buffers) {}

  // A slice that the session opened, which has neither given this counter before nor one of another session since.
  // Appends to `out` the records that are whole now; they lie in `slice`, or live until JoinBuffers::end_batch().
  // False: there is something in it that no slicer writes.
  [[nodiscard]] bool on_slice(TimePoint now, std::uint32_t session, std::uint64_t counter, ByteSpan slice,
                              std::vector<Record>& out);
  // When poll() has something to do; nothing while all that came was whole.
  [[nodiscard]] std::optional<TimePoint> deadline() const;
  // What is missing for too long is lost. Appends to `out` what can be had without it.
  void poll(TimePoint now, std::vector<Record>& out);

  // From time to time: gives up what was not whole when no slice has come since the last time.
  void sweep();
  // Bytes that it keeps for records that are not whole.
  [[nodiscard]] std::size_t kept_bytes() const;

 private:
  struct Open {
    RecordHeader header;
    std::uint64_t next{0};  // the slice that goes on with it
    std::size_t whole{0};   // bytes of a slice that goes on with it to its end: those of a row are as long
    std::size_t from{0};    // in the record: where `bytes` begins; not 0 when what is before was given out, or lost
    ByteVector bytes;
    ByteVector headers;  // of a super-frame of which something was given out or lost
  };
  // The first bytes of a slice whose predecessor is missing.
  struct Early {
    std::uint64_t counter{0};
    bool to_the_end{false};  // no record begins in that slice
    ByteVector bytes;
  };
  using Opens = std::vector<Open>;

  void forget_early();
  void forget_all();
  void give_up_all(std::uint64_t lost_before, std::vector<Record>& out);
  // Takes the slice that `open` waits for as lost, for good, until it is whole, hopeless, or waits for one that may
  // come.
  void give_up(Opens::iterator open, std::uint64_t lost_before, std::vector<Record>& out);
  // What there is of a super-frame becomes a record of its own.
  void give_out(Open& open, std::vector<Record>& out);
  // False: it doesn't fit the record.
  [[nodiscard]] bool go_on(std::uint64_t counter, ByteView bytes, bool to_the_end, std::vector<Record>& out);
  [[nodiscard]] bool go_on_with_early(std::uint64_t counter, std::vector<Record>& out);
  void end(Opens::iterator open, std::vector<Record>& out);
  // `whole`: bytes of the slice in which they lie.
  [[nodiscard]] bool read_records(std::uint64_t counter, std::size_t whole, ByteSpan bytes, std::vector<Record>& out);
  [[nodiscard]] bool begin(std::uint64_t counter, std::size_t whole, const RecordHeader& header, ByteView bytes,
                           std::vector<Record>& out);
  void keep_early(std::uint64_t counter, ByteView bytes, bool to_the_end);
  void drop_open(Opens::iterator at);

  JoinBuffers* buffers_;
  std::uint32_t session_{0};
  std::uint64_t highest_{0};
  std::uint64_t swept_at_{0};
  TimePoint heard_at_{};
  bool gave_out_{false};  // since then
  Opens open_;
  std::deque<Early> early_;
  std::size_t early_bytes_{0};
};

}  // namespace godwit::overlay
