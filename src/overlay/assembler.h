// Puts one peer's slices together to records again. Format: docs/protocols/overlay.md. Pure.
//
// What lies in one slice whole is given on where it lies. A record that goes over several is joined in the order of the
// session's counter, so that a datagram which is lost, late or doubled costs the records that it carried, and no others.
#pragma once

#include "overlay/record.h"

#include <deque>
#include <vector>

namespace godwit::overlay {

// Slices that may come before one that was sent earlier; what is missing for longer is given up.
constexpr std::uint64_t kReorderedSlices = 64;
constexpr std::size_t kMostOpenRecords = 8;           // that wait for their next slice, a peer
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
  // Appends to `out` the records that are whole now; they lie in `slice`, or live until JoinBuffers::end_batch(). False:
  // there is something in it that no slicer writes.
  [[nodiscard]] bool on_slice(std::uint32_t session, std::uint64_t counter, ByteSpan slice, std::vector<Record>& out);

  // From time to time: gives up what was not whole when no slice has come since the last time.
  void sweep();
  // Bytes that it keeps for records that are not whole.
  [[nodiscard]] std::size_t kept_bytes() const;

 private:
  struct Open {
    RecordHeader header;
    std::uint64_t next{0};  // the slice that goes on with it
    ByteVector bytes;
  };
  // The first bytes of a slice whose predecessor is missing.
  struct Early {
    std::uint64_t counter{0};
    bool to_the_end{false};  // no record begins in that slice
    ByteVector bytes;
  };

  void forget_old();
  void forget_all();
  // False: it doesn't fit the record.
  [[nodiscard]] bool go_on(std::uint64_t counter, ByteView bytes, bool to_the_end, std::vector<Record>& out);
  [[nodiscard]] bool read_records(std::uint64_t counter, ByteSpan bytes, std::vector<Record>& out);
  [[nodiscard]] bool begin(std::uint64_t counter, const RecordHeader& header, ByteView bytes,
                           std::vector<Record>& out);
  void keep_early(std::uint64_t counter, ByteView bytes, bool to_the_end);
  void drop_open(std::vector<Open>::iterator at);

  JoinBuffers* buffers_;
  std::uint32_t session_{0};
  std::uint64_t highest_{0};
  std::uint64_t swept_at_{0};
  std::vector<Open> open_;
  std::deque<Early> early_;
  std::size_t early_bytes_{0};
};

}  // namespace godwit::overlay
