// QEMU's migration stream from the source: the main channel, with or without others that carry pages.
//
// Source: QEMU 7.2 to 10.0, migration/savevm.c; docs/formats/qemu-streams.md.
#pragma once

#include "wire/qemu_configuration.h"
#include "wire/ram_records.h"

namespace godwit::wire {

// Pages of guest memory, the counters before them, and all else. Sections of devices say neither length nor end: from
// there on all is `other`, until something looks like the begin of a section of memory.
class MemoryStream final : public StretchReader {
 public:
  void feed(ByteView bytes, std::vector<Stretch>& stretches) override;

 private:
  enum class State : std::uint8_t {
    header,
    section,
    section_id,    // of a section that goes on
    section_head,  // of one that begins: id, length of the name
    section_name,
    configuration,
    command,
    package_length,
    skip,
    memory,
    unknown,
  };

  void step();
  void take_header();
  void take_section_type();
  void take_section_id();
  void take_section_head();
  void take_command();
  void follow(Step step);
  void search();
  [[nodiscard]] bool finds_memory(std::byte byte);
  void skip(std::uint64_t bytes);
  void lose();

  StreamCut cut_;
  State state_{State::header};
  std::uint8_t section_type_{0};
  std::uint32_t section_id_{0};
  std::size_t name_bytes_{0};
  std::uint64_t left_bytes_{0};  // to skip
  bool has_memory_id_{false};
  std::uint32_t memory_id_{0};  // of the section that is guest memory
  QemuConfiguration configuration_;
  RamRecords records_;
  std::array<std::uint64_t, 2> seen_{};  // the last 16 bytes of what isn't known, the newest lowest in [1]
};

}  // namespace godwit::wire
