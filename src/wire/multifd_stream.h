// A channel of QEMU's migration that carries pages beside the main one (multifd): packets, each with the content behind
// it.
//
// Source: QEMU 7.2 to 10.0, migration/multifd.h, multifd.c: MultiFDInit_t, MultiFDPacket_t, MultiFDPacketDeviceState_t;
// docs/formats/qemu-streams.md.
#pragma once

#include "wire/stream_cut.h"

namespace godwit::wire {

// Pages of guest memory, with the places that MemoryStream gives them, and counters: a packet's offsets. Compressed
// content and the state of devices are `other`. What isn't understood makes all that follows `other`.
class MultifdStream final : public StretchReader {
 public:
  void feed(ByteView bytes, std::vector<Stretch>& stretches) override;

 private:
  enum class State : std::uint8_t { init, packet_begin, packet, offsets, device_packet, pages, skip, unknown };
  static constexpr std::uint32_t kMostPages = 1024;  // in a packet; QEMU has 128

  void step();
  void take_init();
  void take_packet_begin();
  void take_packet();
  void take_offset();
  void take_device_packet();
  void begin_content();
  void take_page();
  void skip(std::uint64_t bytes);

  StreamCut cut_;
  State state_{State::init};
  std::uint32_t flags_{0};
  std::uint64_t block_{0};
  std::uint32_t offsets_{0};        // in this packet
  std::uint32_t pages_{0};          // that follow this packet
  std::uint64_t counters_{0};       // offsets in use
  std::uint32_t content_bytes_{0};  // that the packet says
  std::uint32_t next_{0};           // offset, then page
  std::uint64_t left_bytes_{0};     // of this page, or to skip
  std::array<std::uint64_t, kMostPages> page_offsets_bytes_{};
};

}  // namespace godwit::wire
