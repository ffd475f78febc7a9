// What of an image comes from others, or from a disk that lost its power: manifests, piece lists and parts of them,
// what says which pieces are here. Input: which of them (one byte); of the last the pieces of the image (two bytes);
// and the bytes.
#include "base/assert.h"
#include "image/here_map.h"
#include "image/list_part.h"
#include "image/manifest.h"
#include "support/input.h"

#include <algorithm>

namespace {

using namespace godwit;

// What is taken is spelled in one way, and every piece of it has a place.
void take_manifest(std::string_view text) {
  const auto manifest = image::parse_manifest(text);
  if (!manifest) return;
  GODWIT_ASSERT(image::print_manifest(*manifest) == text);
  GODWIT_ASSERT(image::is_image_id(image::id_of(text)));
  const auto pieces = image::pieces_of(*manifest);
  GODWIT_ASSERT(pieces > 0 && pieces <= image::kPiecesLimit);
  for (const auto piece : {std::uint64_t{0}, pieces / 2, pieces - 1}) {
    const auto place = image::place_of(*manifest, piece);
    GODWIT_ASSERT(place.bytes > 0 && place.bytes <= image::kPiece_bytes);
    GODWIT_ASSERT(place.offset + place.bytes <= manifest->files[place.file].bytes);
  }
}

void take_list(ByteView list) {
  image::Manifest manifest;
  const auto pieces = list.size() / image::kDigest_bytes;
  if (pieces == 0) return;
  const auto whole = list.first(pieces * image::kDigest_bytes);
  const auto bytes = pieces * image::kPiece_bytes;
  manifest.files = {{image::Role::disk, bytes, to_hex(image::root_of(bytes, whole))}};
  GODWIT_ASSERT(image::check_list(manifest, whole));
  GODWIT_ASSERT(static_cast<bool>(image::check_list(manifest, list)) == (list.size() == whole.size()));
}

void take_list_part(ByteView part) {
  const auto digests = image::open_list_part(part);
  if (!digests) return;
  GODWIT_ASSERT(digests->size() <= image::kListPart_bytes);
  const auto again = image::pack_list_part(*digests);
  const auto same = image::open_list_part(as_bytes(again));
  GODWIT_ASSERT(same && *same == *digests);
}

// With checks that hold: what is behind them is the parser's work.
void take_here(std::uint64_t pieces, ByteView file) {
  image::HereMap fresh(pieces);
  ByteVector bytes(image::HereMap::file_bytes(pieces));
  std::copy_n(file.begin(), std::min(file.size(), bytes.size()), bytes.begin());
  (void)image::HereMap::parse(file, pieces);
  const auto head = fresh.take_changed();
  std::ranges::copy(head.front().bytes, bytes.begin());
  auto map = image::HereMap::parse(bytes, pieces);
  std::uint64_t count = 0;
  for (std::uint64_t piece = 0; piece < pieces; ++piece) count += map.has(piece) ? 1 : 0;
  GODWIT_ASSERT(count == map.count());
  for (std::uint64_t piece = 0; piece < pieces; piece += 7) map.set(piece, !map.has(piece));
  auto written = bytes;
  for (const auto& each : map.take_changed()) {
    std::ranges::copy(each.bytes,
                      written.begin() + static_cast<std::ptrdiff_t>(each.number * image::HereMap::kSector_bytes));
  }
  const auto again = image::HereMap::parse(written, pieces);
  GODWIT_ASSERT(again.damaged() == 0 && again.count() == map.count());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto kind = static_cast<char>(input.byte());
  if (kind == 'm') take_manifest(input.text());
  if (kind == 'l') take_list(input.bytes());
  if (kind == 'p') take_list_part(input.bytes());
  if (kind == 'h') {
    const auto high = input.byte();
    const auto pieces = (static_cast<std::uint64_t>(high) << 8U | input.byte()) % 20'000 + 1;
    take_here(pieces, input.bytes());
  }
  return 0;
}
