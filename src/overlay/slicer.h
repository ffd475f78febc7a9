// Cuts one peer's records into slices that fit its path's MTU: many in a batch share a datagram, a long one takes many.
// Format: docs/protocols/overlay.md. Pure.
#pragma once

#include "overlay/record.h"
#include "overlay/seal.h"

#include <memory>
#include <vector>

namespace godwit::overlay {

// Memory of one batch, taken from the front and given back as a whole.
class BatchMemory {
 public:
  // What is never taken is never touched, and costs no memory.
  explicit BatchMemory(std::size_t bytes) : memory_(new std::byte[bytes]), size_(bytes) {}

  // Empty when there is no more.
  [[nodiscard]] ByteSpan take(std::size_t size) {
    if (size > left()) return {};
    const auto out = ByteSpan(memory_.get() + used_, size);
    used_ += size;
    return out;
  }
  [[nodiscard]] std::size_t left() const { return size_ - used_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  void clear() { used_ = 0; }

 private:
  std::unique_ptr<std::byte[]> memory_;
  std::size_t size_{0};
  std::size_t used_{0};
};

// Datagrams that lie side by side, each [kSealHeader][slice][kSealTag], all but the last of the same size.
struct Run {
  std::byte* begin{nullptr};
  std::size_t size{0};

  [[nodiscard]] ByteSpan bytes() const { return {begin, size}; }
};

// One batch for one peer: begin(), append() each record, finish(), send runs(), clear().
class Slicer {
 public:
  // `memory` outlives the batch.
  Slicer(BatchMemory& memory, std::size_t datagram_bytes) : memory_(&memory) { begin(datagram_bytes); }

  // Of a new batch, whose datagrams have at most so many bytes.
  void begin(std::size_t datagram_bytes);

  // False when there is no memory for the whole of it: then nothing was appended. Copies `payload`.
  [[nodiscard]] bool append(const RecordHeader& header, ByteView payload);
  // Ends the last slice where its last record ends.
  void finish();

  [[nodiscard]] std::size_t datagram_bytes() const { return datagram_bytes_; }
  [[nodiscard]] const std::vector<Run>& runs() const { return runs_; }
  void clear();

 private:
  [[nodiscard]] std::size_t slice_room() const { return datagram_bytes_ - kSealHeader - kSealTag - kSliceHeader; }
  [[nodiscard]] bool has_memory_for(std::size_t record_bytes) const;
  // A new slice, of which the first bytes, as many as `continued` or all, go on with a record.
  void begin_slice(std::size_t continued);
  void pad();

  BatchMemory* memory_;
  std::size_t datagram_bytes_{0};
  std::vector<Run> runs_;
  std::byte* at_{nullptr};  // in the last slice, where the next byte goes
  std::size_t room_{0};     //   and how many it has left
};

}  // namespace godwit::overlay
