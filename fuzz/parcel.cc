// A parcel of image pieces, from a sender that may say anything. Input: 't' for a parcel to take, any other byte for
// one to make and take again; then
// - to take: its bytes;
// - to make: which pieces go and with which blocks (a byte each, 0 ends them), then what they are compressed against
// (three bytes a run).
#include "image/parcel.h"

#include "base/assert.h"
#include "image/pieces_in_memory.h"
#include "support/input.h"

namespace {

using namespace godwit;
using namespace godwit::image;

constexpr std::size_t kPieces = 4;
constexpr std::uint64_t kBlocks = kPieces * kPiece_blocks;
const ImageId kOther = std::string(64, 'b');

struct Receiver {
  PiecesInMemory whole{drawn_bytes(kPieces * kPiece_bytes, 1, 0xff00ff00ff00ff00ULL)};
  PiecesInMemory image = PiecesInMemory::empty_like(whole);
  std::size_t blocks_read{0};

  FindBlock find = [this](const BlockTag& tag, ByteSpan into) {
    for (std::uint64_t block = 0; block < kBlocks; ++block) {
      if (tag_of(whole.block(block)) != tag) continue;
      std::ranges::copy(whole.block(block), into.begin());
      return true;
    }
    return false;
  };
  // Of another image, whose blocks are these in the opposite order.
  ReadPrefix read = [this](const ImageId& named, std::uint64_t block, ByteSpan into) {
    ++blocks_read;
    if (named != kOther || block >= kBlocks) return false;
    std::ranges::copy(whole.block(kBlocks - 1 - block), into.begin());
    return true;
  };

  Result<ParcelTaken> take(ByteView parcel) {
    auto taken = take_parcel(parcel, image, find, read);
    GODWIT_ASSERT(blocks_read <= kPrefixBlocks);
    for (std::uint64_t piece = 0; piece < kPieces; ++piece) {
      if (!image.has(piece)) continue;
      for (auto block = piece * kPiece_blocks; block < (piece + 1) * kPiece_blocks; ++block) {
        GODWIT_ASSERT(std::ranges::equal(image.block(block), whole.block(block)));
      }
    }
    return taken;
  }
};

void take(ByteView parcel) {
  Receiver receiver;
  const auto taken = receiver.take(parcel);
  if (!taken) {
    GODWIT_ASSERT(taken.error().code == Errc::protocol);
    return;
  }
  GODWIT_ASSERT(taken->pieces + taken->refused.size() <= kParcelPieces);
  GODWIT_ASSERT(!taken->lacks_prefix || (taken->pieces == 0 && taken->refused.empty()));
}

void make_and_take(fuzz::Input& input) {
  Receiver receiver;
  std::vector<ParcelPiece> pieces;
  for (auto byte = input.byte(); byte != 0 && pieces.size() < kPieces; byte = input.byte()) {
    ParcelPiece piece{pieces.size(), static_cast<std::uint16_t>(byte * 0x0101U), {}};
    for (std::size_t i = 0; i < kPiece_blocks; ++i) {
      piece.tags[i] = tag_of(receiver.whole.block(piece.piece * kPiece_blocks + i));
    }
    pieces.push_back(piece);
  }
  if (pieces.empty()) return;
  ParcelPrefix prefix{{kOther}, {}, {}};
  for (int i = 0; i < 20 && !input.empty(); ++i) {
    const auto block = input.byte() % kBlocks;
    const auto blocks = input.byte() % (kBlocks - block) + 1;
    prefix.runs.push_back({1, static_cast<std::uint32_t>(block), static_cast<std::uint16_t>(blocks)});
  }
  GODWIT_ASSERT(read_prefix(prefix, receiver.read));
  receiver.blocks_read = 0;
  const auto parcel = make_parcel(receiver.whole, pieces, 1, [&](ByteView) { return prefix; });
  GODWIT_ASSERT(parcel && parcel->pieces == pieces.size());
  const auto taken = receiver.take(parcel->bytes);
  const bool too_many = prefix.bytes.size() > kPrefixBlocks * kPage_bytes;
  GODWIT_ASSERT(too_many ? !taken : taken && taken->pieces == pieces.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  if (input.byte() == 't') {
    take(input.bytes());
  } else {
    make_and_take(input);
  }
  return 0;
}
