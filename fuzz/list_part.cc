// A part of an image's list of digests, from who brings the image or gives it, and the list that is made of such parts.
// Input: 'o' for a part to open, any other byte for a list that comes in parts; then
// - to open: its bytes;
// - a list: of each part which digest is its first, how many it has, and what of it is altered (a byte each; 0:
// nothing).
#include "image/list_part.h"

#include "base/assert.h"
#include "image/incoming_list.h"
#include "support/input.h"

#include <optional>

namespace {

using namespace godwit;
using namespace godwit::image;

constexpr std::size_t kOfDisk = 3;
constexpr std::size_t kOfKernel = 2;
constexpr std::size_t kAll = kOfDisk + kOfKernel;

// Of the image, and of as many more that it doesn't have.
ByteVector digests() {
  ByteVector out;
  for (std::uint8_t i = 0; i < 2 * kAll; ++i) append(out, crypto::sha256(ByteVector(1, std::byte{i})));
  return out;
}

Manifest manifest_of(ByteView list) {
  Manifest manifest;
  const auto add = [&](Role role, std::size_t pieces, ByteView part) {
    manifest.files.push_back({role, pieces * kPiece_bytes, to_hex(root_of(pieces * kPiece_bytes, part))});
  };
  add(Role::disk, kOfDisk, list.first(kOfDisk * kDigest_bytes));
  add(Role::kernel, kOfKernel, list.subspan(kOfDisk * kDigest_bytes, kOfKernel * kDigest_bytes));
  return manifest;
}

void open(ByteView part) {
  const auto opened = open_list_part(part);
  if (!opened) {
    GODWIT_ASSERT(opened.error().code == Errc::invalid_argument);
    return;
  }
  GODWIT_ASSERT(opened->size() <= kListPart_bytes);
  const auto again = open_list_part(as_bytes(pack_list_part(*opened)));
  GODWIT_ASSERT(again && *again == *opened);
}

void take_list(fuzz::Input& input) {
  static const auto all = digests();
  static const auto manifest = manifest_of(all);
  std::optional<IncomingList> list(manifest);
  for (int parts = 0; parts < 64 && !input.empty(); ++parts) {
    const std::size_t first = input.byte() % (2 * kAll);
    const std::size_t count = input.byte() % (2 * kAll - first + 1);
    const auto alter = input.byte();
    const auto place = ByteView(all).subspan(first * kDigest_bytes, count * kDigest_bytes);
    ByteVector part(place.begin(), place.end());
    if (alter != 0 && !part.empty()) part[(alter - 1U) % part.size()] ^= std::byte{1};
    const auto before = list->count();
    const auto added = list->add(first, part);
    if (added) {
      GODWIT_ASSERT(list->count() == std::max<std::uint64_t>(before, first + count) && list->count() <= kAll);
    } else if (added.error().code == Errc::not_authentic) {
      list.emplace(manifest);
    } else {
      const bool is_gap = count > 0 && first > before;
      GODWIT_ASSERT(added.error().code == (is_gap ? Errc::conflict : Errc::invalid_argument));
      GODWIT_ASSERT(list->count() == before && (is_gap || count == 0 || first + count > kAll));
    }
    if (list->complete()) GODWIT_ASSERT(std::ranges::equal(list->bytes(), ByteView(all).first(kAll * kDigest_bytes)));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  if (input.byte() == 'o') {
    open(input.bytes());
  } else {
    take_list(input);
  }
  return 0;
}
