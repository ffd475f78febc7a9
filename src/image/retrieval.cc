#include "image/retrieval.h"

#include "image/incoming_list.h"
#include "image/kept_list.h"
#include "image/known_blocks.h"
#include "image/outlet.h"
#include "image/parcel.h"
#include "image/shared_blocks.h"
#include "sys/gather.h"

#include <algorithm>
#include <bit>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <set>

namespace godwit::image {
namespace {

constexpr std::uint64_t kIndexAtOnce = 16'384;  // pieces, a call: 1 GiB of content
constexpr std::uint64_t kLookAtOnce = 64;       // pieces of siblings: 8 ms

// One image on its way here. Its workers share it.
struct Way {
  Lease image;
  ShipmentTarget& store;
  std::function<void(const RetrievalProgress&)> on_progress;
  std::string path;  // of the content
  KnownBlocks known;
  RetrievalProgress progress{};
  std::uint64_t next{0};                 // the first piece that nobody has taken on
  std::set<std::uint64_t> whole{};       // to come so, since they could not be put together otherwise
  std::optional<SharedBlocks> shared{};  // nothing: the store compresses against nothing

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

std::uint16_t wished_of(const std::string& wishes, std::size_t number) {
  return load_be16(as_bytes(wishes).subspan(number * kPieceWish_bytes + kPieceNumber_bytes));
}

std::size_t blocks_in(const std::string& wishes) {
  std::size_t blocks = 0;
  for (std::size_t i = 0; i < wishes.size() / kPieceWish_bytes; ++i) {
    blocks += static_cast<std::size_t>(std::popcount(wished_of(wishes, i)));
  }
  return blocks;
}

// What both have that is like what is wished for. No runs: nothing, or the store can't tell.
sys::Task<Result<ParcelPrefix>> prefix_for(Way& way, std::string wishes) {
  if (!way.shared || way.shared->empty() || blocks_in(wishes) == 0) co_return ParcelPrefix();
  const auto sketches = co_await ask(way, "POST", "/sketches", wishes);
  if (!sketches && sketches.error().code == Errc::not_found) way.shared.reset();
  if (!way.shared) co_return ParcelPrefix();
  if (!sketches) co_return pass(sketches);
  if (sketches->size() != blocks_in(wishes) * kBlockSketch_bytes) {
    co_return fail(Errc::protocol, "image: the store's answer on {} blocks has {} bytes", blocks_in(wishes),
                   sketches->size());
  }
  std::vector<BlockSketch> blocks;
  for (std::size_t at = 0; at < sketches->size(); at += kBlockSketch_bytes) {
    blocks.push_back(load_sketch(as_bytes(*sketches).subspan(at, kBlockSketch_bytes)));
  }
  co_return way.shared->prefix_for(blocks);
}

sys::Task<Result<std::string>> parcel_of(Way& way, std::string wishes, bool with_prefix) {
  if (with_prefix) {
    const auto prefix = co_await prefix_for(way, wishes);
    if (!prefix) co_return pass(prefix);
    if (!prefix->runs.empty()) {
      ByteVector body;
      append_prefix(body, *prefix);
      append(body, as_bytes(wishes));
      co_return co_await ask(way, "POST", "/differences", std::string(as_text(body)));
    }
  }
  co_return co_await ask(way, "POST", "/pieces", std::move(wishes));
}

// Those of the wished pieces that are here now, by what came of them.
void note_arrived(Way& way, std::span<const std::uint64_t> pieces, const std::string& wishes) {
  for (std::size_t i = 0; way.shared && i < pieces.size(); ++i) {
    if (way.image->has(pieces[i])) way.shared->arrived({pieces[i], wished_of(wishes, i)});
  }
}

sys::Task<Result<>> take(Way& way, std::vector<std::uint64_t> pieces) {
  bool with_prefix = true;
  while (!pieces.empty()) {
    auto wishes = co_await wishes_for(way, pieces);
    if (!wishes) co_return pass(wishes);
    const auto parcel = co_await parcel_of(way, *wishes, with_prefix);
    if (!parcel) co_return pass(parcel);
    ReadPrefix read;
    if (way.shared) {
      read = [&way](const ImageId& image, std::uint64_t block, ByteSpan into) {
        return way.shared->read_block(image, block, into);
      };
    }
    const auto taken = take_parcel(
        as_bytes(*parcel), *way.image, [&way](const BlockTag& tag, ByteSpan into) { return way.known.read(tag, into); },
        read);
    if (!taken) co_return pass(taken);
    note_arrived(way, pieces, *wishes);
    bool goes_on = taken->lacks_prefix && std::exchange(with_prefix, false);
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

// About so many pieces' blocks are to come: as of some that are missing.
sys::Task<Result<std::uint64_t>> foretell_coming(sys::Executor executor, Way& way) {
  std::vector<std::uint64_t> missing;
  for (std::uint64_t piece = 0; piece < way.image->count(); ++piece) {
    if (!way.image->has(piece)) missing.push_back(piece);
  }
  if (missing.empty()) co_return 0U;
  while (way.known.advance(kIndexAtOnce)) co_await boost::asio::post(executor, boost::asio::use_awaitable);
  const auto some = sample_of(missing);
  const auto wishes = co_await wishes_for(way, some);
  if (!wishes) co_return pass(wishes);
  co_return missing.size() * blocks_in(*wishes) / (some.size() * kPiece_blocks);
}

sys::Task<Result<>> look_for_prefixes(sys::Executor executor, Way& way, std::vector<Lease> siblings) {
  siblings = worth_looking_at(std::move(siblings), way.image->missing());
  if (!siblings.empty()) {
    auto foretelling = foretell_coming(executor, way);
    const auto coming = co_await std::move(foretelling);
    if (!coming) co_return pass(coming);
    siblings = worth_looking_at(std::move(siblings), *coming);
  }
  auto asking = ask_for_prefixes(way.store, way.path, std::move(siblings));
  auto both = co_await std::move(asking);
  if (!both) co_return pass(both);
  if (!*both) co_return Result<>{};
  way.shared.emplace(*way.image, std::move(**both));
  while (way.shared->advance(kLookAtOnce)) co_await boost::asio::post(executor, boost::asio::use_awaitable);
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
  if (image.missing() > 0) {
    auto looking = siblings_of(runtime.executor, images, id, image);
    auto siblings = co_await std::move(looking);
    auto agreeing = look_for_prefixes(runtime.executor, way, std::move(siblings));
    const auto agreed = co_await std::move(agreeing);
    if (!agreed) co_return pass(agreed);
  }
  std::vector<sys::Task<Result<>>> workers;
  workers.reserve(kShipmentCalls);
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
