// A batch of a shrunk connection, from a source that may say anything.
// Input: 'e' for a stream to encode and decode again, any other byte for batches to decode; then
// - to encode: how much effort (one byte), and what the stream is made of, a byte each;
// - to decode: batches, each after its size (two bytes).
#include "base/assert.h"
#include "migrate/batch_decoder.h"
#include "migrate/batch_encoder.h"
#include "sim/page_files.h"
#include "support/input.h"

namespace {

using namespace godwit;
using namespace godwit::migrate;

struct Side {
  sim::PageFiles files;
  content::Store store{files, "/store", {}};
  std::shared_ptr<Rapport> rapport{std::make_shared<Rapport>()};

  Side() { rapport->domain = store.domain("alice"); }
};

void decode(fuzz::Input& input) {
  Side side;
  Arrivals arrivals{side.store, side.rapport, nullptr, false};
  BatchDecoder decoder(arrivals, 1);
  for (int batches = 0; batches < 20 && !input.empty(); ++batches) {
    const std::size_t size = input.byte() * 256U + input.byte();
    const auto number = decoder.next();
    const auto decoded = decoder.decode(input.take(size));
    GODWIT_ASSERT(decoder.next() == number + (decoded ? 1 : 0));
    if (decoded) {
      GODWIT_ASSERT(decoded->size() <= kBatchBytes);
      continue;
    }
    const auto code = decoded.error().code;
    GODWIT_ASSERT(code == Errc::protocol || code == Errc::not_found || code == Errc::not_authentic);
  }
}

// A byte: its upper half says what comes next, its lower half which.
void add_piece(std::uint8_t piece, ByteVector& bytes, std::vector<wire::Stretch>& stretches) {
  const std::uint64_t which = piece & 15U;
  wire::Stretch stretch{wire::StretchKind::page, kPage_bytes, which};
  ByteVector content(kPage_bytes);
  switch (piece >> 4U & 7U) {
    case 0: break;
    case 1:
      for (std::size_t i = 0; i < kPage_bytes; i += 8) store_be64(std::span(content).subspan(i), (i + 1) * (which + 7));
      break;
    case 2:
      for (std::size_t i = 0; i < kPage_bytes; i += 8) store_be64(std::span(content).subspan(i), (i + 1) * 7);
      content[which * 100] ^= std::byte{1};
      break;
    case 3: content.resize(1 + which * 200); break;
    case 4:
      stretch.kind = wire::StretchKind::other;
      content.resize(1 + which);
      break;
    default:
      stretch.kind = wire::StretchKind::counter;
      content.resize(8);
      store_be64(content, (piece & 0x80U) != 0 ? which << 60U : bytes.size() / kPage_bytes * kPage_bytes);
  }
  stretch.size_bytes = static_cast<std::uint32_t>(content.size());
  append(bytes, content);
  stretches.push_back(stretch);
}

void same_again(fuzz::Input& input) {
  Side here;
  Side there;
  Departure departure{here.store, here.rapport, nullptr, Places{}, wire::Savings{}};
  Arrivals arrivals{there.store, there.rapport, nullptr, false};
  BatchEncoder encoder(departure, 1);
  BatchDecoder decoder(arrivals, 1);
  const auto how = input.byte();
  const Effort effort{(how & 1U) != 0, (how & 2U) != 0, static_cast<int>(how >> 2U & 3U)};
  ByteVector bytes;
  std::vector<wire::Stretch> stretches;
  for (int pieces = 0; pieces < 300 && !input.empty(); ++pieces) add_piece(input.byte(), bytes, stretches);
  ByteView rest_bytes(bytes);
  std::span<const wire::Stretch> rest(stretches);
  while (!rest.empty()) {
    const auto encoded = encoder.encode(rest_bytes, rest, effort);
    GODWIT_ASSERT(encoded && encoded->taken_stretches > 0);
    const bool lost = (how & 128U) != 0 && decoder.next() % 2 == 1;
    if (lost) there.rapport->theirs = {};
    const auto number = decoder.next();
    auto decoded = decoder.decode(encoded->frame);
    if (!decoded) {
      GODWIT_ASSERT(lost);
      const auto again = encoder.again(number);
      GODWIT_ASSERT(again);
      decoded = decoder.decode(*again);
    }
    GODWIT_ASSERT(decoded && std::ranges::equal(*decoded, rest_bytes.first(encoded->taken_bytes)));
    rest_bytes = rest_bytes.subspan(encoded->taken_bytes);
    rest = rest.subspan(encoded->taken_stretches);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  if (input.byte() == 'e') {
    same_again(input);
  } else {
    decode(input);
  }
  return 0;
}
