#include "image/shipment.h"

#include "image/list_part.h"
#include "image/shared_blocks.h"
#include "sys/gather.h"

#include <algorithm>
#include <bit>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <set>

namespace godwit::image {
namespace {

constexpr std::string_view kContents = "/v1/image-contents";
constexpr int kVainRounds = 8;                // of asking what is missing, that bring nothing further
constexpr std::size_t kRoundPieces = 65'536;  // that are asked for, of what is missing: 4 GiB
constexpr std::uint64_t kLookAtOnce = 64;     // pieces of siblings: 8 ms
constexpr std::size_t kSample = 64;           // pieces, by which it is told how much will travel
constexpr int kSampleCalls = 4;               // a store may look for what it has little by little

template <class T>
Result<T> read_answer(const Result<std::string>& text, std::string_view what) {
  if (!text) return pass(text);
  auto answer = wire::decode<T>(*text, 1UL << 20U);
  if (!answer) return fail(Errc::protocol, "{}: the store's answer: {}", what, answer.error().message);
  return answer;
}

// One image on its way. Its workers share it.
struct Way {
  Pieces& image;
  ShipmentTarget& target;
  std::function<void(const ShipmentProgress&)> on_progress;
  std::string path;  // of the content
  ShipmentProgress progress;
  std::vector<std::uint64_t> missing;  // of this round
  std::size_t next{0};                 // of these
  std::set<std::uint64_t> whole;       // to be sent so, since they were refused otherwise
  PieceDigester digester{};
  ShipmentLimits limits{};
  std::optional<SharedBlocks> shared{};  // nothing: the store takes no parcel that is compressed against anything
};

sys::Task<Result<wire::ImageContent>> look(Way& way) {
  auto asked = way.target.call("GET", way.path, "");
  auto content = read_answer<wire::ImageContent>(co_await std::move(asked), "image");
  if (!content) co_return pass(content);
  if (content->pieces != way.image.count()) {
    co_return fail(Errc::protocol, "image: the store says {} pieces, and there are {}", content->pieces,
                   way.image.count());
  }
  co_return content;
}

// From the digest on that the store lacks.
sys::Task<Result<>> send_list(Way& way, std::uint64_t first) {
  while (first < way.image.count()) {
    auto part = make_list_part(way.image, first);
    if (!part) co_return pass(part);
    way.progress.wire_bytes += part->size();
    auto asked = way.target.call("PUT", fmt::format("{}/list/{}", way.path, first), std::move(*part));
    const auto answer = co_await std::move(asked);
    if (!answer) co_return fail(answer, "image: its list");
    first += kListPartPieces;
  }
  co_return Result<>{};
}

// Each piece with its blocks' tags.
Result<std::vector<ParcelPiece>> describe(Way& way, std::span<const std::uint64_t> pieces) {
  std::vector<ParcelPiece> out;
  ByteVector bytes(kPiece_bytes);
  std::array<std::byte, kPieceBlocks_bytes> digests{};
  for (const auto piece : pieces) {
    out.push_back({piece});
    if (way.whole.contains(piece)) continue;
    const auto read = way.image.read(piece, bytes);
    if (!read) return pass(read);
    static_cast<void>(way.digester.digest(bytes, digests));
    for (std::size_t block = 0; block < kPiece_blocks; ++block) {
      std::copy_n(digests.begin() + static_cast<std::ptrdiff_t>(block * kDigest_bytes), sizeof(BlockTag),
                  out.back().tags[block].begin());
    }
  }
  return out;
}

// Asks which of the blocks the store has, and leaves those out.
sys::Task<Result<>> leave_known_out(Way& way, std::vector<ParcelPiece>& pieces) {
  std::string tags;
  for (const auto& piece : pieces) {
    for (const auto& tag : piece.tags) tags += as_text(tag);
  }
  way.progress.wire_bytes += tags.size();
  auto asked = way.target.call("POST", way.path + "/known", std::move(tags));
  const auto answer = co_await std::move(asked);
  if (!answer) co_return fail(answer, "image: which blocks are known");
  if (answer->size() != pieces.size() * 2) {
    co_return fail(Errc::protocol, "image: the store's answer on {} pieces has {} bytes", pieces.size(),
                   answer->size());
  }
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const auto known = load_be16(as_bytes(*answer).subspan(2 * i));
    if (!way.whole.contains(pieces[i].piece)) pieces[i].sent = static_cast<std::uint16_t>(~known);
  }
  co_return Result<>{};
}

// About so many pieces' blocks are to travel, of `lacking` that the store lacks: as of some of them.
sys::Task<Result<std::uint64_t>> foretell_travelling(Way& way, std::uint64_t lacking) {
  const auto some = sample_of(way.missing);
  auto pieces = describe(way, some);
  if (!pieces) co_return pass(pieces);
  std::uint64_t blocks = some.size() * kPiece_blocks;
  for (int call = 0; call < kSampleCalls; ++call) {
    const auto asked = co_await leave_known_out(way, *pieces);
    if (!asked) co_return pass(asked);
    const auto before = std::exchange(blocks, 0);
    for (const auto& each : *pieces) blocks += static_cast<std::uint64_t>(std::popcount(each.sent));
    if (blocks == before) break;
  }
  const auto asked_for = some.size() * kPiece_blocks;
  co_return lacking* blocks / asked_for;
}

// One that knows of no prefixes takes parcels as they were before.
sys::Task<Result<>> agree_on_prefixes(sys::Executor executor, Way& way, std::vector<Lease> siblings) {
  way.progress.wire_bytes += siblings.size() * kDigest_bytes;
  auto asking = ask_for_prefixes(way.target, way.path, std::move(siblings));
  auto both = co_await std::move(asking);
  if (!both) co_return pass(both);
  if (!*both) co_return Result<>{};
  way.shared.emplace(way.image, std::move(**both), way.limits.similar_bytes);
  while (way.shared->advance(kLookAtOnce)) co_await boost::asio::post(executor, boost::asio::use_awaitable);
  co_return Result<>{};
}

sys::Task<Result<>> look_for_prefixes(sys::Executor executor, Way& way, std::vector<Lease> siblings,
                                      std::uint64_t lacking) {
  siblings = worth_looking_at(std::move(siblings), lacking);
  if (!siblings.empty()) {
    const auto travelling = co_await foretell_travelling(way, lacking);
    if (!travelling) co_return pass(travelling);
    siblings = worth_looking_at(std::move(siblings), *travelling);
  }
  co_return co_await agree_on_prefixes(executor, way, std::move(siblings));
}

Result<Parcel> next_parcel(Way& way, std::span<const ParcelPiece> pieces, bool with_prefix) {
  ChoosePrefix choose;
  if (with_prefix) choose = [&way](ByteView blocks) { return way.shared->prefix_for(blocks); };
  return make_parcel(way.image, pieces, kParcelLevel, choose);
}

// Refused whole: what lies here is not what the list says.
Result<> note_refused(Way& way, const wire::ParcelReceipt& receipt) {
  for (const auto piece : receipt.refused) {
    if (!way.whole.insert(piece).second) return fail(Errc::io, "image: piece {} is refused by the store", piece);
  }
  return {};
}

sys::Task<Result<>> send(Way& way, std::span<const ParcelPiece> pieces) {
  bool with_prefix = way.shared.has_value();
  while (!pieces.empty()) {
    auto parcel = next_parcel(way, pieces, with_prefix);
    if (!parcel) co_return pass(parcel);
    way.progress.wire_bytes += parcel->bytes.size();
    std::string body(as_text(parcel->bytes));
    parcel->bytes = ByteVector();  // which were made room for as if nothing got smaller
    auto asked = way.target.call("POST", way.path + "/parcels", std::move(body));
    const auto receipt = read_answer<wire::ParcelReceipt>(co_await std::move(asked), "image parcel");
    if (!receipt) co_return pass(receipt);
    if (with_prefix && receipt->pieces == 0 && receipt->refused.empty()) {
      with_prefix = false;  // what it was compressed against is not there any more
      continue;
    }
    const auto noted = note_refused(way, *receipt);
    if (!noted) co_return pass(noted);
    for (const auto& piece : pieces.first(parcel->pieces)) {
      const bool refused = std::ranges::find(receipt->refused, piece.piece) != receipt->refused.end();
      if (way.shared && !refused) way.shared->arrived(piece);
    }
    way.progress.here += receipt->pieces;
    way.on_progress(way.progress);
    pieces = pieces.subspan(parcel->pieces);
  }
  co_return Result<>{};
}

sys::Task<Result<>> work(Way& way) {
  while (way.next < way.missing.size()) {
    const auto from = way.next;
    const auto count = std::min(way.limits.parcel_pieces, way.missing.size() - from);
    way.next += count;
    auto pieces = describe(way, std::span(way.missing).subspan(from, count));
    if (!pieces) co_return pass(pieces);
    const auto left_out = co_await leave_known_out(way, *pieces);
    if (!left_out) co_return pass(left_out);
    const auto sent = co_await send(way, *pieces);
    if (!sent) co_return pass(sent);
  }
  co_return Result<>{};
}

Result<> set_missing(Way& way, const wire::ImageContent& content) {
  way.missing.clear();
  way.next = 0;
  for (const auto& range : content.missing) {
    if (range.first >= way.image.count() || range.count > way.image.count() - range.first) {
      return fail(Errc::protocol, "image: the store lacks pieces that there aren't");
    }
    const auto count = std::min<std::uint64_t>(range.count, kRoundPieces - way.missing.size());
    for (std::uint64_t i = 0; i < count; ++i) way.missing.push_back(range.first + i);
  }
  if (way.missing.empty()) return fail(Errc::protocol, "image: the store lacks something, and doesn't say what");
  return {};
}

sys::Task<Result<>> send_missing(sys::Executor executor, Way& way) {
  std::vector<sys::Task<Result<>>> workers;
  for (std::size_t i = 0; i < way.limits.calls; ++i) workers.push_back(work(way));
  for (const auto& done : co_await sys::gather(std::move(executor), std::move(workers))) {
    if (!done) co_return pass(done);
  }
  co_return Result<>{};
}

}  // namespace

std::vector<std::uint64_t> sample_of(std::span<const std::uint64_t> pieces) {
  std::vector<std::uint64_t> some(std::min(kSample, pieces.size()));
  for (std::size_t i = 0; i < some.size(); ++i) some[i] = pieces[i * pieces.size() / some.size()];
  return some;
}

sys::Task<Result<std::optional<std::vector<Lease>>>> ask_for_prefixes(ShipmentTarget& store, std::string path,
                                                                      std::vector<Lease> siblings) {
  std::optional<std::vector<Lease>> both;
  std::string ids;
  for (const auto& each : siblings) ids += as_text(from_hex(each->id()).value());
  auto asked = store.call("POST", path + "/prefixes", std::move(ids));
  const auto answer = co_await std::move(asked);
  if (!answer && answer.error().code == Errc::not_found) co_return both;
  if (!answer) co_return fail(answer, "image: what it may be compressed against");
  if (answer->size() != siblings.size()) {
    co_return fail(Errc::protocol, "image: the store's answer on {} images has {} bytes", siblings.size(),
                   answer->size());
  }
  both.emplace();
  for (std::size_t i = 0; i < siblings.size(); ++i) {
    if ((*answer)[i] == '\1') both->push_back(std::move(siblings[i]));
  }
  co_return both;
}

sys::Task<Result<ShipmentProgress>> ship(sys::Executor executor, Pieces& image, wire::ImageOffer offer,
                                         ShipmentTarget& target,
                                         std::function<void(const ShipmentProgress&)> on_progress,
                                         std::vector<Lease> siblings, ShipmentLimits limits) {
  auto offered = target.call("POST", std::string(kContents), wire::encode(offer));
  auto content = read_answer<wire::ImageContent>(co_await std::move(offered), "image");
  if (!content) co_return pass(content);
  Way way{image, target, std::move(on_progress), fmt::format("{}/{}", kContents, content->id), {}, {}, 0, {}};
  way.limits = limits;
  way.progress.pieces = image.count();
  std::uint64_t most = 0;
  bool asked_for_prefixes = false;
  for (int vain = 0; vain < kVainRounds; ++vain) {
    content = co_await look(way);
    if (!content) co_return pass(content);
    if (content->here > most) vain = 0;
    most = std::max(most, content->here);
    way.progress.here = content->here;
    way.on_progress(way.progress);
    if (content->has_list && content->here == content->pieces) co_return way.progress;
    if (!content->has_list) {
      const auto sent = co_await send_list(way, std::min(content->listed, content->pieces));
      if (!sent) co_return pass(sent);
      continue;
    }
    const auto missing = set_missing(way, *content);
    if (!missing) co_return pass(missing);
    if (!std::exchange(asked_for_prefixes, true)) {
      const auto lacking = content->pieces - std::min(content->here, content->pieces);
      const auto agreed = co_await look_for_prefixes(executor, way, std::move(siblings), lacking);
      if (!agreed) co_return pass(agreed);
    }
    const auto sent = co_await send_missing(executor, way);
    if (!sent) co_return pass(sent);
  }
  co_return fail(Errc::unavailable, "image: still not whole at the store, which took nothing in the last {} rounds",
                 kVainRounds);
}

}  // namespace godwit::image
