// A super-frame as the frames that it is on a wire, each with its checksum filled in: for those who take no offloads, a
// WireGuard peer or a file of captured frames. What a kernel does when its device can't. Pure.
#pragma once

#include "sys/packet.h"

#include <functional>

namespace godwit::overlay {

// Calls `each` with every frame; it is valid until the next, and may be altered. `frame` has passed check() of
// overlay/offload.h with this offload.
void cut(ByteView frame, const sys::Offload& offload, const std::function<void(ByteSpan)>& each);

}  // namespace godwit::overlay
