// The records of a RAM section in QEMU's migration stream, up to their end mark.
//
// Source: QEMU 7.2 to 10.0, migration/ram.c: RAM_SAVE_FLAG_*, save_page_header, ram_save_setup, ram_load_precopy;
// docs/formats/qemu-streams.md.
#pragma once

#include "wire/stream_cut.h"

namespace godwit::wire {

class RamRecords final {
 public:
  // With this migration capability each block of the first section carries its address.
  void expect_addresses(bool expected) { has_addresses_ = expected; }

  // Takes something of a `cut` that isn't empty, or changes state. After `done` and `lost`: at a section's begin again,
  // of the same stream.
  [[nodiscard]] Step step(StreamCut& cut);

 private:
  enum class State : std::uint8_t {
    head,
    block_name_length,
    block_name,
    body,
    content,
    size_name_length,
    size_name,
    size_length,
    size_page,
    size_address,
  };

  [[nodiscard]] Step take_head(StreamCut& cut);
  [[nodiscard]] Step begin_record(std::uint64_t head);
  void take_block_name(StreamCut& cut);
  [[nodiscard]] Step take_body(StreamCut& cut);
  void take_content(StreamCut& cut);
  [[nodiscard]] Step take_sizes(StreamCut& cut);
  [[nodiscard]] Step take_size_length(StreamCut& cut);
  void end_size();
  Step lose();

  State state_{State::head};
  std::uint32_t kind_{0};  // one RAM_SAVE_FLAG_
  bool has_addresses_{false};
  bool sizes_ended_{false};        // this head follows the list of sizes at once
  std::uint64_t offset_bytes_{0};  // of this record's page in its block
  std::uint64_t block_{0};         // sticky
  std::size_t name_bytes_{0};
  std::uint64_t sizes_left_bytes_{0};  // of memory, that the list of sizes still has to name
  std::uint64_t left_bytes_{0};        // of this record's content
};

}  // namespace godwit::wire
