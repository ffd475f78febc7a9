// What a migration's peer sends: framing, Hello, Welcome and the frames of the control channel.
// Input: as support/framed_messages.h has it.
#include "support/framed_messages.h"

namespace {

using namespace godwit;

void take(char kind, std::string_view json) {
  if (kind == 'h') {
    fuzz::same_again(migrate::parse_hello(json), migrate::parse_hello);
  } else if (kind == 'w') {
    fuzz::same_again(migrate::parse_welcome(json), migrate::parse_welcome);
  } else {
    const auto frame = migrate::parse_frame(json);
    if (frame) static_cast<void>(migrate::saying_of(*frame));
    fuzz::same_again(frame, migrate::parse_frame);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::run_framed(
      data, size, [](char kind) { return kind == 'h' ? migrate::kHelloLimit_bytes : migrate::kFrameLimit_bytes; }, take,
      [](sys::Stream& stream) { return migrate::introduce(stream, migrate::Hello{}); });
}
