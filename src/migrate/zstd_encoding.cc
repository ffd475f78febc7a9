#include "migrate/zstd_encoding.h"

#include <zstd.h>

namespace godwit::migrate {
namespace {

constexpr int kLevel = 1;       // 300 MB/s of guest memory a core, and a third of it left
constexpr int kWindowLog = 20;  // 1 MiB behind; the destination takes no more either

using Compressor = std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)>;
using Decompressor = std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)>;

std::unexpected<Error> damaged(std::size_t code) {
  return fail(Errc::protocol, "what the source sent is no zstd of ours: {}", ZSTD_getErrorName(code));
}

// Writes all that `context` makes of `bytes`, to their end.
sys::Task<Result<>> press(ZSTD_CCtx* context, ByteView bytes, ZSTD_EndDirective how, sys::Stream& to, ByteSpan room,
                          std::uint64_t& count) {
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  for (std::size_t left = 1; left != 0;) {
    ZSTD_outBuffer out{room.data(), room.size(), 0};
    left = ZSTD_compressStream2(context, &out, &in, how);
    if (ZSTD_isError(left) != 0) co_return fail(Errc::internal, "zstd: {}", ZSTD_getErrorName(left));
    const auto written = co_await to.write(ByteView(room).first(out.pos));
    if (!written) co_return written;
    count += out.pos;
  }
  co_return Result<>{};
}

// Writes all that `context` makes of `bytes`. `within`: it ended inside of a frame.
sys::Task<Result<>> unpress(ZSTD_DCtx* context, ByteView bytes, sys::Stream& to, ByteSpan room, bool& within) {
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  for (bool more = true; more;) {
    ZSTD_outBuffer out{room.data(), room.size(), 0};
    const auto left = ZSTD_decompressStream(context, &out, &in);
    if (ZSTD_isError(left) != 0) co_return damaged(left);
    within = left != 0;
    more = in.pos < in.size || out.pos == out.size;
    if (out.pos == 0) continue;
    const auto written = co_await to.write(ByteView(room).first(out.pos));
    if (!written) co_return written;
  }
  co_return Result<>{};
}

}  // namespace

sys::Task<Result<>> ZstdEncoding::encode(Channel, sys::Stream& local, sys::Stream& wan, std::uint64_t& wan_bytes) {
  const Compressor context(ZSTD_createCCtx(), &ZSTD_freeCCtx);
  if (!context) co_return fail(Errc::exhausted, "zstd: no memory");
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kLevel);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, kWindowLog);
  ByteVector buffer(kHeldBack_bytes);
  ByteVector room(ZSTD_compressBound(kHeldBack_bytes));
  for (;;) {
    const auto size = co_await local.read_some(buffer);
    const bool ended = !size && size.error().code == Errc::closed;
    if (!size && !ended) co_return pass(size);
    const auto bytes = ByteView(buffer).first(ended ? 0 : *size);
    const auto how = ended ? ZSTD_e_end : ZSTD_e_flush;
    const auto pressed = co_await press(context.get(), bytes, how, wan, room, wan_bytes);
    if (!pressed) co_return pressed;
    if (ended) co_return co_await wan.shutdown_write();
  }
}

sys::Task<Result<>> ZstdEncoding::decode(Channel, sys::Stream& wan, sys::Stream& local) {
  const Decompressor context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
  if (!context) co_return fail(Errc::exhausted, "zstd: no memory");
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, kWindowLog);
  ByteVector buffer(kHeldBack_bytes);
  ByteVector room(ZSTD_DStreamOutSize());
  for (bool within = false;;) {
    const auto size = co_await wan.read_some(buffer);
    if (!size && size.error().code != Errc::closed) co_return pass(size);
    if (!size && within) co_return fail(Errc::protocol, "the source's stream ended in the middle");
    if (!size) co_return co_await local.shutdown_write();
    const auto unpressed = co_await unpress(context.get(), ByteView(buffer).first(*size), local, room, within);
    if (!unpressed) co_return unpressed;
  }
}

}  // namespace godwit::migrate
