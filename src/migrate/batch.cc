#include "migrate/batch.h"

#include "wire/varint.h"

#if defined(__x86_64__)
#include <xxh_x86dispatch.h>  // picks AVX2 or AVX-512 as it runs
#else
#include <xxhash.h>
#endif

#include <algorithm>
#include <cstring>

namespace godwit::migrate {

using wire::append_signed_varint;
using wire::append_varint;
using wire::StretchKind;
using wire::VarintReader;

namespace {

enum class Token : std::uint8_t {
  other = 1,
  counters,       // each with the same few bytes behind it
  pages,          // with nothing before them
  counted_pages,  // a counter before each
};

constexpr std::size_t kTailLimit = 8;
constexpr std::int64_t kUsualStep = kPage_bytes;
constexpr std::uint64_t kRunInToken = 31;
constexpr std::size_t kOriginsLimit = kBatchBytes / kPage_bytes;

std::unexpected<Error> not_ours(std::string_view what) {
  return fail(Errc::protocol, "a batch that is not ours: {}", what);
}

void append_token(ByteVector& out, Token token) { out.push_back(static_cast<std::byte>(token)); }

std::int64_t difference(std::uint64_t a, std::uint64_t b) { return static_cast<std::int64_t>(a - b); }

// One record: a counter, and the page or the few bytes behind it.
struct Record {
  std::uint64_t counter{0};
  ByteView tail;
  bool page{false};
  std::size_t stretches{1};
  std::size_t size{sizeof(std::uint64_t)};
};

Record record_at(std::span<const wire::Stretch> stretches, ByteView bytes) {
  Record record;
  record.counter = load_be64(bytes);
  if (stretches.size() < 2) return record;
  const auto& next = stretches[1];
  record.page = is_whole_page(next);
  const bool tail = next.kind == StretchKind::other && next.size_bytes <= kTailLimit;
  if (!record.page && !tail) return record;
  if (tail) record.tail = bytes.subspan(record.size, next.size_bytes);
  record.stretches = 2;
  record.size += next.size_bytes;
  return record;
}

}  // namespace

// ---- the shape

void ShapeWriter::add(std::span<const wire::Stretch> stretches, ByteView bytes) {
  while (!stretches.empty()) {
    const auto& first = stretches.front();
    std::size_t count = 1;
    std::size_t size = first.size_bytes;
    if (first.kind == StretchKind::counter) {
      count = add_counted(stretches, bytes);
      size = 0;
      for (const auto& each : stretches.first(count)) size += each.size_bytes;
    } else {
      const bool page = is_whole_page(first);
      for (; count < stretches.size(); ++count) {
        const auto& next = stretches[count];
        if (next.kind == StretchKind::counter || is_whole_page(next) != page) break;
        size += next.size_bytes;
      }
      append_token(shape_, page ? Token::pages : Token::other);
      append_varint(shape_, page ? count : size);
      if (!page) append(others_, bytes.first(size));
    }
    stretches = stretches.subspan(count);
    bytes = bytes.subspan(size);
  }
}

std::size_t ShapeWriter::add_counted(std::span<const wire::Stretch> stretches, ByteView bytes) {
  const auto first = record_at(stretches, bytes);
  std::size_t used = first.stretches;
  std::size_t at = first.size;
  std::uint64_t records = 1;
  std::uint64_t last = first.counter;
  auto step = static_cast<std::uint64_t>(kUsualStep);
  while (used < stretches.size() && stretches[used].kind == StretchKind::counter) {
    const auto next = record_at(stretches.subspan(used), bytes.subspan(at));
    const bool same =
        next.page == first.page && next.stretches == first.stretches && std::ranges::equal(next.tail, first.tail);
    const auto to_next = next.counter - last;
    if (!same || (records > 1 && to_next != step)) break;
    step = to_next;
    last = next.counter;
    ++records;
    used += next.stretches;
    at += next.size;
  }
  append_token(shape_, first.page ? Token::counted_pages : Token::counters);
  append_varint(shape_, records);
  append_signed_varint(shape_, difference(first.counter, counter_ + kUsualStep));
  append_signed_varint(shape_, difference(step, kUsualStep));
  if (!first.page) {
    append_varint(shape_, first.tail.size());
    append(shape_, first.tail);
  }
  counter_ = last;
  return used;
}

namespace {

class Builder {
 public:
  Builder(ByteView others, std::span<const ByteView> pages, ByteVector& out)
      : others_(others), pages_(pages), out_(out), begin_(out.size()) {}

  Result<> run(ByteView shape) {
    VarintReader reader(shape);
    while (!reader.at_end()) {
      const auto token = reader.take(1);
      const auto count = reader.next();
      const bool done = !reader.failed() && step(static_cast<Token>(token.front()), count, reader);
      if (!done || reader.failed()) return not_ours("shape");
    }
    if (!others_.empty() || !pages_.empty()) return not_ours("more than its shape has room for");
    return {};
  }

 private:
  bool step(Token token, std::uint64_t count, VarintReader& reader) {
    switch (token) {
      case Token::other: return take_others(count);
      case Token::pages: return take_pages(count);
      case Token::counters:
      case Token::counted_pages: return count_on(count, token == Token::counted_pages, reader);
    }
    return false;
  }
  [[nodiscard]] bool has_room(std::uint64_t count, std::uint64_t each) const {
    const auto room = kBatchBytes - (out_.size() - begin_);
    return count <= room / each;
  }
  bool take_others(std::uint64_t count) {
    if (count > others_.size() || !has_room(count, 1)) return false;
    append(out_, others_.first(count));
    others_ = others_.subspan(count);
    return true;
  }
  bool take_pages(std::uint64_t count) {
    if (count > pages_.size() || !has_room(count, kPage_bytes)) return false;
    for (const auto page : pages_.first(count)) append(out_, page);
    pages_ = pages_.subspan(count);
    return true;
  }
  bool count_on(std::uint64_t count, bool with_pages, VarintReader& reader) {
    const auto first = static_cast<std::uint64_t>(reader.next_signed());
    const auto step = static_cast<std::uint64_t>(reader.next_signed()) + kUsualStep;
    const auto tail = with_pages ? ByteView{} : reader.take(reader.next());
    if (reader.failed() || tail.size() > kTailLimit) return false;
    if (!has_room(count, sizeof counter_ + (with_pages ? kPage_bytes : tail.size()))) return false;
    for (std::uint64_t i = 0; i < count; ++i) {
      counter_ += i == 0 ? first + kUsualStep : step;
      append_be64(out_, counter_);
      append(out_, tail);
      if (with_pages && !take_pages(1)) return false;
    }
    return true;
  }

  ByteView others_;
  std::span<const ByteView> pages_;
  ByteVector& out_;
  std::size_t begin_;
  std::uint64_t counter_{0};
};

}  // namespace

Result<> build(ByteView shape, ByteView others, std::span<const ByteView> pages, ByteVector& out) {
  return Builder(others, pages, out).run(shape);
}

// ---- where pages come from

ByteVector pack_origins(std::span<const PageOrigin> origins) {
  ByteVector out;
  PageOrigin next;  // that would need no more than its kind
  for (std::size_t at = 0; at < origins.size();) {
    const auto& first = origins[at];
    const bool numbered = first.origin >= Origin::image;
    const bool named = first.origin >= Origin::sent;
    std::uint64_t run = 1;
    for (; at + run < origins.size(); ++run) {
      PageOrigin expected = first;
      if (numbered) expected.number += run;
      if (origins[at + run] != expected) break;
    }
    const auto in_token = std::min(run - 1, kRunInToken);
    out.push_back(static_cast<std::byte>(static_cast<unsigned>(first.origin) | (in_token << 3U)));
    if (in_token == kRunInToken) append_varint(out, run - 1 - kRunInToken);
    if (named) append_varint(out, first.connection);
    if (numbered) {
      append_signed_varint(out, difference(first.number, next.number));
      next.number = first.number + run;
    }
    at += run;
  }
  return out;
}

Result<std::vector<PageOrigin>> parse_origins(ByteView packed, std::size_t limit) {
  std::vector<PageOrigin> origins;
  VarintReader reader(packed);
  std::uint64_t next = 0;
  while (!reader.at_end()) {
    const auto token = std::to_integer<unsigned>(reader.take(1).front());
    PageOrigin each;
    each.origin = static_cast<Origin>(token & 7U);
    std::uint64_t more = token >> 3U;
    if (more == kRunInToken) more += std::min<std::uint64_t>(reader.next(), kOriginsLimit);
    const bool known = each.origin >= Origin::literal && each.origin <= Origin::theirs;
    const bool numbered = each.origin >= Origin::image;
    if (each.origin >= Origin::sent) {
      const auto connection = reader.next();
      if (connection > UINT32_MAX) return not_ours("a page's origin");
      each.connection = static_cast<std::uint32_t>(connection);
    }
    if (numbered) each.number = next + static_cast<std::uint64_t>(reader.next_signed());
    if (reader.failed() || !known || origins.size() + more + 1 > limit) return not_ours("a page's origin");
    for (std::uint64_t i = 0; i <= more; ++i) {
      origins.push_back(each);
      if (numbered) ++each.number;
    }
    if (numbered) next = each.number;
  }
  return origins;
}

// ---- the whole

Check check_of(ByteView bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  Check check;
  std::memcpy(check.data(), canonical.digest, check.size());
  return check;
}

ByteVector pack(const Batch& batch) {
  const auto prefix = pack_origins(batch.prefix);
  ByteVector out;
  out.reserve(batch.body.size() + prefix.size() + 64);
  append_varint(out, batch.number);
  append(out, batch.check);
  append_varint(out, prefix.size());
  append(out, prefix);
  append_varint(out, batch.shape_size);
  append_varint(out, batch.origins_size);
  append_varint(out, batch.others_size);
  append_varint(out, (std::uint64_t{batch.body_size} << 1U) | (batch.compressed ? 1 : 0));
  append(out, batch.body);
  return out;
}

Result<Batch> parse_batch(ByteView frame) {
  VarintReader reader(frame);
  Batch batch;
  batch.number = reader.next();
  const auto check = reader.take(batch.check.size());
  std::ranges::copy(check, batch.check.begin());
  auto prefix = parse_origins(reader.take(reader.next()), kPrefixPages);
  if (!prefix) return pass(prefix);
  batch.prefix = std::move(*prefix);
  const auto shape = reader.next();
  const auto origins = reader.next();
  const auto others = reader.next();
  const auto body = reader.next();
  const auto size = body >> 1U;
  if (reader.failed() || shape > kShapeBytes || origins > kShapeBytes || others > kBatchBytes) {
    return not_ours("header");
  }
  if (size > kBatchBytes + 2 * kShapeBytes || shape + origins + others > size) return not_ours("sizes");
  batch.shape_size = static_cast<std::uint32_t>(shape);
  batch.origins_size = static_cast<std::uint32_t>(origins);
  batch.others_size = static_cast<std::uint32_t>(others);
  batch.body_size = static_cast<std::uint32_t>(size);
  batch.compressed = (body & 1U) != 0;
  batch.body = reader.rest();
  if (!batch.compressed && batch.body.size() != size) return not_ours("sizes");
  return batch;
}

}  // namespace godwit::migrate
