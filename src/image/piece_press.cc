#include "image/piece_press.h"

#include "base/assert.h"
#include "image/chain_messages.h"

#include <zstd.h>

#include <array>

namespace godwit::image {
namespace {

constexpr int kTrialLevel = 1;
constexpr std::size_t kTryAnyway = 64;  // one of so many that don't look like it

constexpr std::size_t kLooks = 16;  // at each piece, spread over it
constexpr std::size_t kLook_bytes = 256;
constexpr std::size_t kLookStride = 4096 + 240;  // not always where a block or a page begins

// Whether its bytes are all equally frequent, as of what is compressed or encrypted: the sum of the squares of their
// counts is 69,600 then, give or take 400; of programs and texts 140,000 and more.
bool looks_random(ByteView piece) {
  constexpr std::uint32_t kRandom = 76'000;
  static_assert((kLooks - 1) * kLookStride + kLook_bytes <= kPiece_bytes);
  std::array<std::uint32_t, 256> counts{};
  for (std::size_t look = 0; look < kLooks; ++look) {
    for (const auto byte : piece.subspan(look * kLookStride, kLook_bytes)) ++counts[std::to_integer<std::size_t>(byte)];
  }
  std::uint32_t squares = 0;
  for (const auto count : counts) squares += count * count;
  return squares < kRandom;
}

std::unexpected<Error> no_piece(std::string_view what) {
  return fail(Errc::protocol, "chain: a packed piece that is {}", what);
}

}  // namespace

struct PiecePress::Work {
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> compressor{ZSTD_createCCtx(), &ZSTD_freeCCtx};
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> expander{ZSTD_createDCtx(), &ZSTD_freeDCtx};
  std::array<std::byte, kPiece_bytes> room;
};

PiecePress::PiecePress(sys::Clock& clock) : clock_(clock) {}
PiecePress::~PiecePress() = default;

// 0: it isn't tried.
int PiecePress::level_for(ByteView piece) {
  if (pace_.level() == 0 || looks_deceive_ || !looks_random(piece)) return pace_.level();
  if (++unlikely_ < kTryAnyway) return 0;
  unlikely_ = 0;
  return kTrialLevel;
}

ByteView PiecePress::press(ByteView piece) {
  GODWIT_ASSERT(piece.size() == kPiece_bytes);
  const auto begun = clock_.now();
  const auto before = unlikely_;
  const auto level = level_for(piece);
  ByteView packed;
  if (level != 0) {
    if (!work_) work_ = std::make_unique<Work>();
    auto* compressor = work_->compressor.get();
    if (compressor == nullptr) return {};
    const auto size =
        ZSTD_compressCCtx(compressor, work_->room.data(), chain::kPackedLimit_bytes, piece.data(), piece.size(), level);
    if (ZSTD_isError(size) == 0) packed = ByteView(work_->room).first(size);
    if (unlikely_ < before || looks_deceive_) looks_deceive_ = !packed.empty();
  }
  const auto now = clock_.now();
  pace_.note(now, now - begun, level != 0);
  return packed;
}

Result<ByteView> PiecePress::expand(ByteView packed) {
  if (ZSTD_getFrameContentSize(packed.data(), packed.size()) != kPiece_bytes) return no_piece("none of 64 KiB");
  if (ZSTD_findFrameCompressedSize(packed.data(), packed.size()) != packed.size()) return no_piece("not one frame");
  if (!work_) work_ = std::make_unique<Work>();
  auto* expander = work_->expander.get();
  if (expander == nullptr) return fail(Errc::exhausted, "zstd: no memory");
  const auto size = ZSTD_decompressDCtx(expander, work_->room.data(), kPiece_bytes, packed.data(), packed.size());
  if (ZSTD_isError(size) != 0 || size != kPiece_bytes) return no_piece("broken");
  return ByteView(work_->room);
}

}  // namespace godwit::image
