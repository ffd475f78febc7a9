// What an NBD client sends: options, then requests, some with content for the disk.
//
// Source: the NBD protocol, https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md, "Newstyle negotiation",
// "Request message", "Extended request"; docs/formats/qemu-streams.md.
#pragma once

#include "wire/stream_cut.h"

namespace godwit::wire {

// What is written is pages where whole ones of the disk are; their place is where on the disk, with bit 63 set. What
// isn't understood makes all that follows `other`.
class NbdStream final : public StretchReader {
 public:
  void feed(ByteView bytes, std::vector<Stretch>& stretches) override;

 private:
  enum class State : std::uint8_t { begin, magic, option, request, skip, content, unknown };

  void step();
  void take_magic();
  void take_option();
  void take_request();
  void take_content();

  StreamCut cut_;
  State state_{State::begin};
  bool extended_{false};  // this request
  bool has_requests_{false};
  std::uint64_t at_{0};  // content: where on the disk, in bytes
  std::uint64_t left_bytes_{0};
  std::uint64_t part_left_bytes_{0};  // content: of this page, or of what is no whole one
  bool part_is_page_{false};
};

}  // namespace godwit::wire
