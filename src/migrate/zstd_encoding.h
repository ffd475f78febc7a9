// Bytes compressed as one zstd stream a connection (RFC 8878).
#pragma once

#include "migrate/encoding.h"

namespace godwit::migrate {

// Whatever was read is flushed before more is read, so nothing waits here for company. Under 3 MiB at the source and 3
// MiB at the destination, a connection. Errors of decode(): protocol where the stream is no zstd of ours.
class ZstdEncoding final : public StreamEncoding {
 public:
  [[nodiscard]] std::string_view name() const override { return "zstd"; }
  [[nodiscard]] sys::Task<Result<>> encode(Channel channel, sys::Stream& local, sys::Stream& wan,
                                           std::uint64_t& wan_bytes) override;
  [[nodiscard]] sys::Task<Result<>> decode(Channel channel, sys::Stream& wan, sys::Stream& local) override;
};

}  // namespace godwit::migrate
