// How the bytes of a QEMU stream fall into pages and the rest: what an encoder may treat as content, and what it must
// take as it is. A wrong answer costs ratio, never a byte: stretches cover the stream, whatever they say of it.
#pragma once

#include "base/bytes.h"
#include "base/page.h"

#include <vector>

namespace godwit::wire {

enum class StretchKind : std::uint8_t {
  other = 1,
  counter,  // 8 bytes, big-endian: likely the last counter of its stream plus a page
  page,     // content with a place of its own, or a piece of it where the stream was cut there
};

struct Stretch {
  StretchKind kind{StretchKind::other};
  std::uint32_t size_bytes{0};  // page: at most kPage_bytes
  std::uint64_t place{0};       // page: the same for the same page of guest memory, or of disk, sent again
};

// Adds `size_bytes` more. A piece of the page at the end of `stretches` becomes one with it; so do others.
void add_stretch(std::vector<Stretch>& stretches, Stretch stretch);

// Follows one direction of one connection. Pure; bounded memory, whatever it is fed.
class StretchReader {
 public:
  virtual ~StretchReader() = default;
  // Adds stretches that cover exactly `bytes`: nothing is held back, so that a wrong guess of what follows can't stop
  // a stream.
  virtual void feed(ByteView bytes, std::vector<Stretch>& stretches) = 0;
};

}  // namespace godwit::wire
