// What a switch wants sent, in order. One is filled while a batch is handled, sent, and cleared.
#pragma once

#include "sys/packet.h"

namespace godwit::overlay {

// Packets either borrow the buffers of what was received, or lie in the outbox's own scratch memory. Allocates nothing
// after it was made.
class Outbox {
 public:
  static constexpr std::size_t kPackets = 8192;
  static constexpr std::size_t kScratchBytes = std::size_t{2} << 20U;

  Outbox() : scratch_(kScratchBytes) { packets_.reserve(kPackets); }

  // False when it is full. `bytes` must live until clear().
  bool to_port(sys::PortHandle port, ByteView bytes) { return add({port, {}, bytes}); }
  bool to_peer(const sys::UdpEndpoint& peer, ByteView bytes) { return add({0, peer, bytes}); }

  // Memory that lives until clear(); empty when there is no more.
  [[nodiscard]] ByteSpan scratch(std::size_t size) {
    if (size > scratch_.size() - used_) return {};
    const auto out = ByteSpan(scratch_).subspan(used_, size);
    used_ += size;
    return out;
  }

  [[nodiscard]] std::span<const sys::OutPacket> packets() const { return packets_; }
  // More than half full: send it before the next packet is handled.
  [[nodiscard]] bool crowded() const { return packets_.size() > kPackets / 2 || used_ > kScratchBytes / 2; }
  void clear() {
    packets_.clear();
    used_ = 0;
  }

 private:
  bool add(sys::OutPacket packet) {
    if (packets_.size() == kPackets) return false;
    packets_.push_back(packet);
    return true;
  }

  std::vector<sys::OutPacket> packets_;
  ByteVector scratch_;
  std::size_t used_{0};
};

}  // namespace godwit::overlay
