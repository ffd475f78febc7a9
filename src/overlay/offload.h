// What a super-frame may claim about itself. Guests and other hosts are hostile: a claim that the frame's own headers
// don't bear out never reaches a device. Source: virtio 1.2, section 5.1.6.2; Linux, include/linux/virtio_net.h. Pure.
#pragma once

#include "overlay/counters.h"
#include "sys/packet.h"

#include <optional>

namespace godwit::overlay {

constexpr std::size_t kLeastTcpSegment = 48;  // Linux's tcp_min_snd_mss: no 64 KiB become 65,000 frames
constexpr std::size_t kMostUdpSegments = 128;  // Linux's UDP_MAX_SEGMENTS

// Why a frame whose frames on the wire have at most `frame_limit` bytes must be dropped; nothing when it may pass. Sets
// header_bytes to what the headers say, and takes off what means nothing.
[[nodiscard]] std::optional<Drop> check(sys::Offload& offload, ByteView frame, std::size_t frame_limit);

// How many frames it is on a wire; a frame that passed check().
[[nodiscard]] std::size_t frames_of(const sys::Offload& offload, ByteView frame);

}  // namespace godwit::overlay
