// What a tunnel's other end sends before a connection's bytes: framing, Hello and Welcome.
// Input: as support/framed_messages.h has it.
#include "support/framed_messages.h"

#include "tunnel/hello.h"

namespace {

using namespace godwit;

void take(char kind, std::string_view json) {
  if (kind == 'h') {
    fuzz::same_again(tunnel::parse_hello(json), tunnel::parse_hello, Errc::unsupported);
  } else {
    fuzz::same_again(tunnel::parse_welcome(json), tunnel::parse_welcome, Errc::unsupported);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::run_framed(
      data, size, [](char) { return tunnel::kFrameLimit_bytes; }, take,
      [](sys::Stream& stream) { return tunnel::introduce(stream, tunnel::Hello{}); });
}
