#include "migrate/batch_encoder.h"

#include "base/zero.h"

#include <algorithm>
#include <unordered_set>

namespace godwit::migrate {
namespace {

constexpr int kWindowLog = 21;  // reaches over the whole prefix and body
// Where zstd's own tables don't stay in the processor's cache beside what they are of: half of them find all but a
// thousandth of it.
constexpr int kLevelOfSmallTables = 3;
constexpr int kShortMatchesLog = 15;
constexpr int kLongMatchesLog = 16;

}  // namespace

void Places::set(std::uint64_t place, content::PageId id, const std::shared_ptr<HostMemory>& memory) {
  constexpr std::size_t kEntry_bytes = 64;
  auto found = regions_.find(place >> kRegionBits);
  if (found == regions_.end()) {
    if (!share_) {
      memory_ = memory;
      share_ = memory->places.admit(0);
    }
    if (!share_->hold(share_->bytes() + sizeof(Region) + kEntry_bytes)) return;
    found = regions_.emplace(place >> kRegionBits, std::make_unique<Region>()).first;
  }
  (*found->second)[place & ((1U << kRegionBits) - 1)] = id;
}

content::PageId Places::get(std::uint64_t place) const {
  const auto found = regions_.find(place >> kRegionBits);
  return found == regions_.end() ? 0 : (*found->second)[place & ((1U << kRegionBits) - 1)];
}

// A batch in the making.
struct BatchEncoder::Draft {
  explicit Draft(Scratch& scratch) : bytes(scratch.joined) { bytes.clear(); }
  std::vector<PageOrigin> origins;
  std::vector<PageOrigin> prefix;
  std::unordered_set<content::PageId> in_prefix;
  ByteVector& bytes;               // the prefix, and in the end the body behind it
  std::vector<ByteView> literals;  // of the stream
  std::uint64_t first_number{0};
  wire::Savings savings;
};

BatchEncoder::BatchEncoder(Departure& departure, std::uint32_t connection)
    : departure_(departure), connection_(connection) {
  departure.rapport->mine.note_instance(connection, departure.instance);
}

Result<BatchEncoder::Encoded> BatchEncoder::encode(ByteView bytes, std::span<const wire::Stretch> stretches,
                                                   Effort effort) {
  Draft draft(departure_.memory->scratch);
  draft.first_number = numbers_;
  Kept kept;
  kept.number = batches_++;
  std::vector<ByteView> pages;  // all but zeros
  std::size_t at = 0;
  std::size_t count = 0;
  for (; count < stretches.size() && draft.literals.size() < kLiteralPages; ++count) {
    const auto& each = stretches[count];
    if (at + each.size_bytes > kBatchBytes || count == kBatchStretches) break;
    if (is_whole_page(each)) {
      const auto page = bytes.subspan(at, kPage_bytes);
      draft.origins.push_back(origin_of(page, each.place, effort, draft));
      if (draft.origins.back().origin != Origin::zero) pages.push_back(page);
    } else {
      draft.savings.other += each.size_bytes;
    }
    at += each.size_bytes;
  }
  // One stretch alone may be longer than a batch: it is cut.
  ShapeWriter shape;
  if (count == 0) {
    at = kBatchBytes;
    const std::array part{wire::Stretch{wire::StretchKind::other, static_cast<std::uint32_t>(at), 0}};
    shape.add(part, bytes.first(at));
    draft.savings.other += at;
  } else {
    shape.add(stretches.first(count), bytes.first(at));
  }
  kept.check = check_of(bytes.first(at));
  kept.shape = shape.shape();
  kept.others = shape.others();
  kept.pages.reserve(pages.size() * kPage_bytes);
  for (const auto page : pages) append(kept.pages, page);
  kept.origins = draft.origins;
  numbers_ = draft.first_number +
             static_cast<std::uint64_t>(std::ranges::count(draft.origins, Origin::literal, &PageOrigin::origin));
  kept.numbers_after = numbers_;
  Encoded encoded;
  encoded.taken_bytes = at;
  encoded.taken_stretches = count;
  auto frame = finish(kept, draft, effort.level);
  if (!frame) return pass(frame);
  encoded.frame = std::move(*frame);
  // The frame holds all that had to be said; who asks what was spared is told too little rather than too much.
  draft.savings.compressed = draft.savings.literal - std::min(draft.savings.literal, encoded.frame.size());
  draft.savings.literal -= draft.savings.compressed;
  departure_.savings += draft.savings;
  keep(std::move(kept), encoded.frame.size());
  departure_.rapport->settle(departure_.store, departure_.memory);
  return encoded;
}

void BatchEncoder::keep(Kept kept, std::size_t frame_bytes) {
  for (auto* each : {&kept.shape, &kept.others}) each->shrink_to_fit();
  const auto size = sizeof kept + kept.shape.size() + kept.others.size() + kept.pages.size() +
                    kept.origins.capacity() * sizeof(PageOrigin);
  kept.size = std::max(size, frame_bytes);
  kept_bytes_ += kept.size;
  kept_.push_back(std::move(kept));
}

// ---- pages

PageOrigin BatchEncoder::origin_of(ByteView page, std::uint64_t place, Effort effort, Draft& draft) {
  if (is_zero(page)) {
    draft.savings.zero += kPage_bytes;
    return {Origin::zero, 0, 0};
  }
  const auto take_literal = [&](Origin origin) {
    draft.literals.push_back(page);
    return PageOrigin{origin, 0, 0};
  };
  if (!effort.look) {
    draft.savings.literal += kPage_bytes;
    return take_literal(Origin::raw);
  }
  auto& departure = departure_;
  const auto fingerprint = content::fingerprint_of(page);
  if (departure.image) {
    const auto block = departure.image->index->find(page, fingerprint, next_block_);
    if (block) {
      next_block_ = *block + 1;
      draft.savings.image += kPage_bytes;
      return {Origin::image, 0, *block};
    }
  }
  const auto domain = departure.rapport->domain;
  const auto equal = departure.store.find(domain, page, fingerprint);
  if (const auto origin = equal != 0 ? held(equal) : std::nullopt) {
    (is_earlier(*origin, place, equal) ? draft.savings.earlier : draft.savings.sibling) += kPage_bytes;
    departure.places.set(place, equal, departure.memory);
    return *origin;
  }
  if (!effort.keep) {
    draft.savings.literal += kPage_bytes;
    return take_literal(Origin::raw);
  }
  const auto sketch = content::sketch_of(page);
  const bool similar = effort.similar && choose_prefix(sketch, place, draft);
  (similar ? draft.savings.similar : draft.savings.literal) += kPage_bytes;
  if (numbers_end_ && numbers_ >= *numbers_end_) return take_literal(Origin::raw);
  const auto stored = departure.store.append(domain, page, fingerprint, sketch);
  if (!stored) return take_literal(Origin::raw);
  departure.rapport->mine.add({connection_, numbers_}, *stored, 1);
  ++numbers_;
  departure.places.set(place, *stored, departure.memory);
  return take_literal(Origin::literal);
}

// How the destination knows a page of our store, if it does.
std::optional<PageOrigin> BatchEncoder::held(content::PageId id) const {
  const auto& rapport = *departure_.rapport;
  if (const auto mine = rapport.mine.of(id)) {
    if (mine->connection == connection_) return PageOrigin{Origin::sent, mine->connection, mine->number};
    const auto known = rapport.acknowledged.find(mine->connection);
    const bool has = known != rapport.acknowledged.end() && mine->number < known->second;
    if (others_ && has) return PageOrigin{Origin::sent, mine->connection, mine->number};
  }
  if (!others_) return std::nullopt;
  const auto theirs = rapport.theirs.of(id);
  if (!theirs) return std::nullopt;
  return PageOrigin{Origin::theirs, theirs->connection, theirs->number};
}

// Whether it was this instance that the page crossed for.
bool BatchEncoder::is_earlier(const PageOrigin& origin, std::uint64_t place, content::PageId id) const {
  const bool sent = origin.origin == Origin::sent;
  if ((sent && origin.connection == connection_) || departure_.places.get(place) == id) return true;
  const auto& crossed = sent ? departure_.rapport->mine : departure_.rapport->theirs;
  const auto instance = crossed.instance_of(origin.connection);
  return instance != kNoInstance && instance == departure_.instance;
}

bool BatchEncoder::is_held(ByteView page, std::uint64_t fingerprint) const {
  const auto equal = departure_.store.find(departure_.rapport->domain, page, fingerprint);
  return equal != 0 && held(equal).has_value();
}

bool BatchEncoder::has_like(const content::Sketch& sketch, std::uint64_t place) const {
  return find_like(sketch, place).has_value();
}

// The page's own last version, else the newest that is like it, of what the destination has.
std::optional<BatchEncoder::Like> BatchEncoder::find_like(const content::Sketch& sketch, std::uint64_t place) const {
  const auto usable = [&](content::PageId id) -> std::optional<Like> {
    const auto origin = id != 0 ? held(id) : std::nullopt;
    if (!origin) return std::nullopt;
    return Like{id, *origin};
  };
  if (const auto last = usable(departure_.places.get(place))) return last;
  for (const auto id : departure_.store.list_alike(departure_.rapport->domain, sketch)) {
    if (const auto alike = usable(id)) return alike;
  }
  return std::nullopt;
}

// What the page is compressed against, with all of the batch's others.
bool BatchEncoder::choose_prefix(const content::Sketch& sketch, std::uint64_t place, Draft& draft) {
  auto& departure = departure_;
  const auto like = find_like(sketch, place);
  if (!like) return false;
  if (draft.in_prefix.contains(like->id)) return true;
  // What comes with this very batch is in zstd's reach already.
  const auto& origin = like->origin;
  const bool own = origin.origin == Origin::sent && origin.connection == connection_;
  if (own && origin.number >= draft.first_number) return true;
  if (draft.prefix.size() >= kPrefixPages) return false;
  const auto size = draft.bytes.size();
  draft.bytes.resize(size + kPage_bytes);
  if (!departure.store.read(departure.rapport->domain, like->id, std::span(draft.bytes).subspan(size))) {
    draft.bytes.resize(size);
    return false;
  }
  draft.in_prefix.insert(like->id);
  draft.prefix.push_back(origin);
  return true;
}

// ---- the frame

// The body lies right behind the prefix: so zstd takes both for one, and looks through them faster than through two.
Result<ByteView> BatchEncoder::press(ByteView prefix, ByteView body, int level) {
  auto& scratch = departure_.memory->scratch;
  auto* context = scratch.compressor.get();
  if (context == nullptr) return fail(Errc::exhausted, "zstd: no memory");
  ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, kWindowLog);
  if (level == kLevelOfSmallTables) {
    ZSTD_CCtx_setParameter(context, ZSTD_c_chainLog, kShortMatchesLog);
    ZSTD_CCtx_setParameter(context, ZSTD_c_hashLog, kLongMatchesLog);
  }
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  ZSTD_CCtx_refPrefix(context, prefix.data(), prefix.size());
  auto& out = scratch.pressed;
  out.resize(std::max(out.size(), ZSTD_compressBound(body.size())));
  const auto size = ZSTD_compress2(context, out.data(), out.size(), body.data(), body.size());
  if (ZSTD_isError(size) != 0) return fail(Errc::exhausted, "zstd: {}", ZSTD_getErrorName(size));
  return ByteView(out).first(size);
}

Result<ByteVector> BatchEncoder::finish(const Kept& kept, Draft& draft, int level) {
  const auto origins = pack_origins(draft.origins);
  auto& bytes = draft.bytes;
  const auto prefix_size = bytes.size();
  append(bytes, kept.shape);
  append(bytes, origins);
  append(bytes, kept.others);
  for (const auto literal : draft.literals) append(bytes, literal);
  const auto prefix = ByteView(bytes).first(prefix_size);
  const auto body = ByteView(bytes).subspan(prefix_size);
  Batch batch;
  batch.number = kept.number;
  batch.check = kept.check;
  batch.shape_size = static_cast<std::uint32_t>(kept.shape.size());
  batch.origins_size = static_cast<std::uint32_t>(origins.size());
  batch.others_size = static_cast<std::uint32_t>(kept.others.size());
  batch.body_size = static_cast<std::uint32_t>(body.size());
  batch.body = body;
  if (level != 0) {
    const auto pressed = press(prefix, body, level);
    if (!pressed) return pass(pressed);
    batch.compressed = pressed->size() < body.size();
    if (batch.compressed) {
      batch.body = *pressed;
      batch.prefix = draft.prefix;
    }
  }
  return pack(batch);
}

// ---- afterwards

void BatchEncoder::acknowledged(std::uint64_t batch) {
  while (!kept_.empty() && kept_.front().number <= batch) {
    auto& known = departure_.rapport->acknowledged[connection_];
    known = std::max(known, kept_.front().numbers_after);
    kept_bytes_ -= kept_.front().size;
    kept_.pop_front();
  }
}

bool BatchEncoder::unkept(std::uint64_t number) {
  if (numbers_end_) return false;
  numbers_end_ = number;
  departure_.rapport->mine.forget_from({connection_, number});
  return true;
}

Result<ByteVector> BatchEncoder::again(std::uint64_t batch) {
  const auto found = std::ranges::find(kept_, batch, &Kept::number);
  if (found == kept_.end()) return fail(Errc::protocol, "batch {} is asked for again, and is not kept", batch);
  Draft draft(departure_.memory->scratch);
  draft.literals.emplace_back(found->pages);
  for (const auto& each : found->origins) {
    const bool as_it_was = each.origin == Origin::zero || each.origin == Origin::literal;
    draft.origins.push_back(as_it_was ? each : PageOrigin{Origin::raw, 0, 0});
  }
  return finish(*found, draft, 1);
}

}  // namespace godwit::migrate
