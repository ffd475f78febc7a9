// How bytes of QEMU cross the WAN: the seam where deduplication and compression slot in.
#pragma once

#include "migrate/channel.h"

#include <string_view>

namespace godwit::migrate {

// What one migration holds back in each direction of a connection, at most. QEMU decides when to switch over by what is
// taken from it, so whatever is taken and not yet on the wire lengthens the downtime.
inline constexpr std::size_t kHeldBack_bytes = 64UL * 1024;

class Encoding {
 public:
  virtual ~Encoding() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;  // as Hello and Welcome say it

  // At the source: everything from `local` to `wan`, until `local` ends; then ends `wan`'s writing. Adds to `wan_bytes`
  // what it has put on the wire. Holds back at most kHeldBack_bytes, and nothing for longer than it needs.
  [[nodiscard]] virtual sys::Task<Result<>> encode(Channel channel, sys::Stream& local, sys::Stream& wan,
                                                   std::uint64_t& wan_bytes) = 0;
  // At the destination, the other way round: what comes out is what went in, byte for byte.
  [[nodiscard]] virtual sys::Task<Result<>> decode(Channel channel, sys::Stream& wan, sys::Stream& local) = 0;
};

// Bytes as they are.
class PlainEncoding final : public Encoding {
 public:
  [[nodiscard]] std::string_view name() const override { return "plain"; }
  [[nodiscard]] sys::Task<Result<>> encode(Channel channel, sys::Stream& local, sys::Stream& wan,
                                           std::uint64_t& wan_bytes) override;
  [[nodiscard]] sys::Task<Result<>> decode(Channel channel, sys::Stream& wan, sys::Stream& local) override;
};

// Both directions of one connection of QEMU, from end to end, until both have ended or one has failed. The way back is
// never encoded and never waits: QEMU's return path and NBD's replies are short.
[[nodiscard]] sys::Task<Result<>> carry_from_source(Encoding& encoding, Channel channel,
                                                    std::unique_ptr<sys::Stream> local,
                                                    std::unique_ptr<sys::Stream> wan, std::uint64_t& wan_bytes);
[[nodiscard]] sys::Task<Result<>> carry_to_destination(Encoding& encoding, Channel channel,
                                                       std::unique_ptr<sys::Stream> wan,
                                                       std::unique_ptr<sys::Stream> local);

}  // namespace godwit::migrate
