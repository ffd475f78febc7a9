#include "image/retrieval.h"

#include "image/incoming_list.h"
#include "image/kept_list.h"
#include "image/known_blocks.h"
#include "image/outlet.h"
#include "image/parcel.h"
#include "sys/gather.h"

#include <algorithm>
#include <optional>
#include <set>

namespace godwit::image {
namespace {

constexpr std::uint64_t kIndexAtOnce = 16'384;  // pieces, a call: 1 GiB of content

// One image on its way here. Its workers share it.
struct Way {
  Lease image;
  ShipmentTarget& store;
  std::function<void(const RetrievalProgress&)> on_progress;
  std::string path;  // of the content
  KnownBlocks known;
  RetrievalProgress progress{};
  std::uint64_t next{0};            // the first piece that nobody has taken on
  std::set<std::uint64_t> whole{};  // to come so, since they could not be put together otherwise

  // Of those that are missing, at most kPiecesAWish more.
  std::vector<std::uint64_t> take_on() {
    std::vector<std::uint64_t> out;
    for (; next < image->count() && out.size() < kPiecesAWish; ++next) {
      if (!image->has(next)) out.push_back(next);
    }
    return out;
  }
};

sys::Task<Result<std::string>> ask(Way& way, std::string method, std::string what, std::string body) {
  auto asked = way.store.call(std::move(method), way.path + what, std::move(body));
  auto answer = co_await std::move(asked);
  if (!answer) co_return pass(answer);
  way.progress.wire_bytes += answer->size();
  co_return std::move(*answer);
}

void append_number(std::string& out, std::uint64_t piece) {
  std::array<std::byte, kPieceNumber_bytes> bytes{};
  store_be32(bytes, static_cast<std::uint32_t>(piece));
  out += as_text(bytes);
}

// Which blocks of a piece are to come: those that no image here has.
std::uint16_t wanted_blocks(Way& way, ByteView tags) {
  std::array<std::byte, kPage_bytes> block{};
  std::uint16_t bits = 0;
  for (std::size_t i = 0; i < kPiece_blocks; ++i) {
    const bool is_here = way.known.read(tags.subspan(i * sizeof(BlockTag), sizeof(BlockTag)), block);
    if (!is_here) bits = static_cast<std::uint16_t>(bits | 1U << i);
  }
  return bits;
}

// Number and wanted blocks of each, as the store takes them.
sys::Task<Result<std::string>> wishes_for(Way& way, std::vector<std::uint64_t> pieces) {
  std::string numbers;
  for (const auto piece : pieces) append_number(numbers, piece);
  const auto tags = co_await ask(way, "POST", "/tags", std::move(numbers));
  if (!tags) co_return pass(tags);
  if (tags->size() != pieces.size() * kPieceTags_bytes) {
    co_return fail(Errc::protocol, "image: the store's answer on {} pieces has {} bytes", pieces.size(), tags->size());
  }
  static_cast<void>(way.known.advance(kIndexAtOnce));
  std::string out;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    append_number(out, pieces[i]);
    const bool whole = way.whole.contains(pieces[i]);
    std::array<std::byte, 2> bits{};
    store_be16(bits, whole ? std::uint16_t{0xFFFF}
                           : wanted_blocks(way, as_bytes(*tags).subspan(i * kPieceTags_bytes, kPieceTags_bytes)));
    out += as_text(bits);
  }
  co_return out;
}

sys::Task<Result<>> take(Way& way, std::vector<std::uint64_t> pieces) {
  while (!pieces.empty()) {
    auto wishes = co_await wishes_for(way, pieces);
    if (!wishes) co_return pass(wishes);
    const auto parcel = co_await ask(way, "POST", "/pieces", std::move(*wishes));
    if (!parcel) co_return pass(parcel);
    const auto taken = take_parcel(as_bytes(*parcel), *way.image,
                                   [&way](const BlockTag& tag, ByteSpan into) { return way.known.read(tag, into); });
    if (!taken) co_return pass(taken);
    bool goes_on = false;
    for (const auto piece : taken->refused) {
      if (!way.whole.insert(piece).second) {
        co_return fail(Errc::not_authentic, "image: the store has piece {} otherwise than its list says", piece);
      }
      goes_on = goes_on || std::ranges::find(pieces, piece) != pieces.end();
    }
    way.progress.here += taken->pieces;
    if (way.on_progress) way.on_progress(way.progress);
    goes_on = std::erase_if(pieces, [&](std::uint64_t piece) { return way.image->has(piece); }) > 0 || goes_on;
    if (!goes_on) co_return fail(Errc::protocol, "image: the store sends nothing of what was asked for");
  }
  co_return Result<>{};
}

sys::Task<Result<>> work(Way& way) {
  for (auto pieces = way.take_on(); !pieces.empty(); pieces = way.take_on()) {
    const auto taken = co_await take(way, std::move(pieces));
    if (!taken) co_return taken;
  }
  co_return Result<>{};
}

Result<> take_kept(const KeptList& kept, IncomingList& list) {
  while (!list.complete()) {
    const auto part = kept.read(list.count());
    if (part.empty()) return {};
    const auto added = list.add(list.count(), part);
    if (!added) return added;
  }
  return {};
}

// Part after part.
sys::Task<Result<>> take_rest_of_list(Way& way, KeptList& kept, IncomingList& list) {
  while (!list.complete()) {
    const auto part = co_await ask(way, "GET", fmt::format("/list/{}", list.count()), "");
    if (!part) co_return pass(part);
    const auto digests = open_list_part(as_bytes(*part));
    if (!digests) co_return fail(Errc::protocol, "image: {}", digests.error().message);
    const auto due = std::min(kListPartPieces, way.image->count() - list.count());
    if (digests->size() != due * kDigest_bytes) {
      co_return fail(Errc::protocol, "image: a part of its list has {} bytes, and not {} digests", digests->size(),
                     due);
    }
    const auto first = list.count();
    const auto added = list.add(first, *digests);
    if (!added) co_return fail(added, "image: its list");
    kept.write(first, *digests);
  }
  co_return Result<>{};
}

// From where a break left it. What was kept is right or not as a whole: a disk may have altered it, or a store lied.
sys::Task<Result<>> take_list(Way& way, KeptList kept) {
  std::optional<IncomingList> list(way.image->manifest());
  auto came = take_kept(kept, *list);
  const bool goes_on = !came || list->count() > 0;
  if (came) came = co_await take_rest_of_list(way, kept, *list);
  if (!came && came.error().code == Errc::not_authentic) {
    kept.drop();
    if (goes_on) {
      list.emplace(way.image->manifest());
      came = co_await take_rest_of_list(way, kept, *list);
    }
  }
  if (!came) co_return came;
  const auto set = way.image->set_list(list->bytes());
  if (!set) co_return fail(set, "image: its list");
  co_return Result<>{};
}

sys::Task<Result<Lease>> begin(Repository& images, std::string id, ShipmentTarget& store) {
  auto asked = store.call("GET", "/v1/image-contents/" + id + "/manifest", "");
  const auto text = co_await std::move(asked);
  if (!text) co_return pass(text);
  const auto offer = wire::decode<wire::ImageOffer>(*text, 64UL * 1024);
  if (!offer) co_return fail(Errc::protocol, "image: the store's answer: {}", offer.error().message);
  if (id_of(offer->manifest) != id) co_return fail(Errc::not_authentic, "image: the store has another's manifest");
  co_return images.begin(offer->manifest, {}, "taking it from a cloud");
}

}  // namespace

sys::Task<Result<Lease>> retrieve(sys::Runtime& runtime, Repository& images, std::string id, ShipmentTarget& store,
                                  std::function<void(const RetrievalProgress&)> on_progress) {
  auto lease = co_await begin(images, id, store);
  if (!lease) co_return pass(lease);
  Way way{*lease, store, std::move(on_progress), "/v1/image-contents/" + id, KnownBlocks(images, id)};
  auto& image = *way.image;
  if (!image.has_list()) {
    KeptList kept(runtime.page_files, images.directory() + "/" + id, image.count());
    auto listing = take_list(way, std::move(kept));
    const auto list = co_await std::move(listing);
    if (!list) co_return pass(list);
  }
  way.progress.pieces = image.count();
  way.progress.here = image.count() - image.missing();
  if (way.on_progress) way.on_progress(way.progress);
  std::vector<sys::Task<Result<>>> workers;
  for (std::size_t i = 0; i < kShipmentCalls; ++i) workers.push_back(work(way));
  for (const auto& done : co_await sys::gather(runtime.executor, std::move(workers))) {
    if (!done) co_return pass(done);
  }
  const auto settled = co_await images.settle(*lease);
  if (!settled) co_return pass(settled);
  if (!image.complete()) co_return fail(Errc::io, "image {}: what came of it is not here any more", ami_of(id));
  co_return *lease;
}

}  // namespace godwit::image
