#include "migrate/batch_decoder.h"

#include <algorithm>

namespace godwit::migrate {
namespace {

constexpr int kWindowLog = 21;
constexpr std::array<std::byte, kPage_bytes> kZeroPage{};
// The source hears that room ends while there is still some for what it has on its way on this connection, and on
// others.
constexpr std::uint64_t kScarce_pages = 32'768;  // 128 MiB, and no more than an eighth of the store
constexpr std::uint64_t kConnections = 8;

std::unexpected<Error> not_here(const PageOrigin& origin) {
  return fail(Errc::not_found, "page {} of connection {} is not held here", origin.number, origin.connection);
}

}  // namespace

struct BatchDecoder::Parts {
  ByteView shape;
  std::vector<PageOrigin> origins;
  ByteView others;
  ByteView literals;
  std::size_t fetched{0};
  std::uint64_t numbered{0};
};

BatchDecoder::BatchDecoder(Arrivals& arrivals, std::uint32_t connection)
    : arrivals_(arrivals), connection_(connection) {
  arrivals.rapport->theirs.note_instance(connection, arrivals.instance);
}

Result<ByteView> BatchDecoder::decode(ByteView frame) {
  const auto batch = parse_batch(frame);
  if (!batch) return pass(batch);
  if (batch->number != batches_) {
    return fail(Errc::protocol, "batch {} where {} is the next", batch->number, batches_);
  }
  // Of an attempt at this batch that failed, nothing is left.
  arrivals_.rapport->theirs.forget_from({connection_, numbers_});
  Parts parts;
  bytes_.clear();
  auto rebuilt = expand(*batch, parts);
  if (rebuilt) rebuilt = gather(parts);
  if (!rebuilt) {
    // With a prefix that has become another, here or there, the body expands to anything.
    const bool excused = rebuilt.error().code == Errc::protocol && !batch->prefix.empty();
    if (excused) return fail(Errc::not_authentic, "batch {} came to what is none", batches_);
    return pass(rebuilt);
  }
  if (check_of(bytes_) != batch->check) {
    arrivals_.rapport->theirs.forget_from({connection_, numbers_});
    return fail(Errc::not_authentic, "batch {} came to other bytes than were meant", batches_);
  }
  numbers_ += parts.numbered;
  ++batches_;
  see_room_end();
  arrivals_.rapport->settle(arrivals_.store, arrivals_.memory);
  return ByteView(bytes_);
}

Result<> BatchDecoder::expand(const Batch& batch, Parts& parts) {
  ByteView body = batch.body;
  if (batch.compressed) {
    auto& scratch = arrivals_.memory->scratch;
    auto* const context = scratch.expander.get();
    if (context == nullptr) return fail(Errc::exhausted, "zstd: no memory");
    scratch.prefix.resize(batch.prefix.size() * kPage_bytes);
    for (std::size_t i = 0; i < batch.prefix.size(); ++i) {
      const auto fetched = fetch(batch.prefix[i], std::span(scratch.prefix).subspan(i * kPage_bytes, kPage_bytes));
      if (!fetched) return fetched;
    }
    ZSTD_DCtx_reset(context, ZSTD_reset_session_and_parameters);
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, kWindowLog);
    ZSTD_DCtx_refPrefix(context, scratch.prefix.data(), scratch.prefix.size());
    scratch.body.resize(batch.body_size);
    const auto size =
        ZSTD_decompressDCtx(context, scratch.body.data(), scratch.body.size(), batch.body.data(), batch.body.size());
    // A prefix that has become another reads like this, too.
    if (ZSTD_isError(size) != 0 || size != scratch.body.size()) {
      return fail(Errc::not_authentic, "batch {} does not expand", batch.number);
    }
    body = scratch.body;
  }
  parts.shape = body.first(batch.shape_size);
  auto origins = parse_origins(body.subspan(batch.shape_size, batch.origins_size), kBatchBytes / kPage_bytes);
  if (!origins) return pass(origins);
  parts.origins = std::move(*origins);
  const auto rest = body.subspan(std::size_t{batch.shape_size} + batch.origins_size);
  parts.others = rest.first(batch.others_size);
  parts.literals = rest.subspan(batch.others_size);
  return {};
}

Result<> BatchDecoder::gather(Parts& parts) {
  arrivals_.memory->scratch.fetched.resize(parts.origins.size() * kPage_bytes);  // views into it stay
  std::vector<ByteView> pages;
  pages.reserve(parts.origins.size());
  for (const auto& origin : parts.origins) {
    const auto page = page_of(origin, parts);
    if (!page) return pass(page);
    pages.push_back(*page);
  }
  if (!parts.literals.empty()) return fail(Errc::protocol, "a batch that is not ours: more content than pages");
  return build(parts.shape, parts.others, pages, bytes_);
}

Result<ByteView> BatchDecoder::page_of(const PageOrigin& origin, Parts& parts) {
  if (origin.origin == Origin::zero) return ByteView(kZeroPage);
  if (origin.origin == Origin::literal || origin.origin == Origin::raw) {
    if (parts.literals.size() < kPage_bytes) return fail(Errc::protocol, "a batch that is not ours: a page is missing");
    const auto page = parts.literals.first(kPage_bytes);
    parts.literals = parts.literals.subspan(kPage_bytes);
    if (origin.origin == Origin::raw) return page;
    keep(page, numbers_ + parts.numbered);
    ++parts.numbered;
    return page;
  }
  const auto into = std::span(arrivals_.memory->scratch.fetched).subspan(parts.fetched++ * kPage_bytes, kPage_bytes);
  const auto fetched = fetch(origin, into);
  if (!fetched) return pass(fetched);
  return ByteView(into);
}

// Where it can't be kept, who refers to it later is told so.
void BatchDecoder::keep(ByteView page, std::uint64_t number) {
  if (unkept_from_ && number >= *unkept_from_) return;
  auto& arrivals = arrivals_;
  const auto kept = arrivals.store.append(arrivals.rapport->domain, page, content::fingerprint_of(page));
  if (kept) {
    arrivals.rapport->theirs.add({connection_, number}, *kept, 1);
  } else {
    unkept_from_ = number;
  }
}

// What has come is pinned until the migration has ended: one that brings more than the store holds can't keep it all.
void BatchDecoder::see_room_end() {
  const auto& store = arrivals_.store;
  const auto scarce = std::min(kScarce_pages, store.limit_pages() / 8);
  if (!unkept_from_ && store.room_pages() < scarce) unkept_from_ = numbers_ + scarce / kConnections;
}

// `sent` and `theirs` are the encoder's words.
Result<> BatchDecoder::fetch(const PageOrigin& origin, ByteSpan into) {
  auto& arrivals = arrivals_;
  if (origin.origin == Origin::image) {
    if (!arrivals.image || origin.number >= arrivals.image->blocks->count()) return not_here(origin);
    const auto read = arrivals.image->blocks->read(origin.number, into);
    if (!read) return not_here(origin);
    return {};
  }
  const auto& rapport = *arrivals.rapport;
  const auto& crossed = origin.origin == Origin::sent ? rapport.theirs : rapport.mine;
  if (origin.origin != Origin::sent && origin.origin != Origin::theirs) {
    return fail(Errc::protocol, "a batch that is not ours: what it is compared with");
  }
  const auto id = crossed.at({origin.connection, origin.number});
  if (id == 0 || !arrivals.store.read(rapport.domain, id, into)) return not_here(origin);
  return {};
}

}  // namespace godwit::migrate
