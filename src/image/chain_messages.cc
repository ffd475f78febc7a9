#include "image/chain_messages.h"

#include "base/assert.h"

#include <algorithm>

namespace godwit::image::chain {
namespace {

constexpr std::uint32_t kMagic = 0x4743484e;  // "GCHN"

// ---- writing

ByteVector begin(Type type) {
  ByteVector out;
  append_be32(out, 0);  // the body's length, when it is known
  append_be32(out, static_cast<std::uint32_t>(type) << 24U);
  return out;
}

ByteVector end(ByteVector out) {
  GODWIT_ASSERT(out.size() <= kHead_bytes + kBodyLimit_bytes);
  store_be32(out, static_cast<std::uint32_t>(out.size() - kHead_bytes));
  return out;
}

void append_text(ByteVector& out, const std::string& text) {
  GODWIT_ASSERT(text.size() <= kNameLimit_bytes);
  out.push_back(static_cast<std::byte>(text.size()));
  append(out, as_bytes(text));
}

template <class Enum>
void append_word(ByteVector& out, Enum word) {
  out.push_back(static_cast<std::byte>(word));
}

// ---- reading

// Takes from the front; once something was missing or can't be meant, ok() is false and all that follows is zeros.
class Reader {
 public:
  explicit Reader(ByteView body) : rest_(body) {}

  ByteView take(std::size_t count) {
    if (!ok_ || rest_.size() < count) {
      ok_ = false;
      return {};
    }
    const auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  std::uint8_t u8() {
    const auto bytes = take(1);
    return ok_ ? static_cast<std::uint8_t>(bytes[0]) : std::uint8_t{0};
  }
  std::uint32_t u32() {
    const auto bytes = take(4);
    return ok_ ? load_be32(bytes) : 0;
  }
  std::uint64_t u64() {
    const auto bytes = take(8);
    return ok_ ? load_be64(bytes) : 0;
  }
  std::uint64_t piece_count() {
    const auto count = u64();
    if (count > kPiecesLimit) ok_ = false;
    return count;
  }
  template <class Enum>
  Enum word(Enum last) {
    const auto number = u8();
    if (number == 0 || number > static_cast<std::uint8_t>(last)) ok_ = false;
    return static_cast<Enum>(number);
  }
  bool flag() {
    const auto number = u8();
    if (number > 1) ok_ = false;
    return number == 1;
  }
  std::string text() { return std::string(as_text(take(u8()))); }
  ByteView rest() { return take(rest_.size()); }

  void refuse_unless(bool holds) { ok_ = ok_ && holds; }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool whole() const { return ok_ && rest_.empty(); }

 private:
  ByteView rest_;
  bool ok_{true};
};

std::unexpected<Error> bad(std::string_view message) {
  return fail(Errc::protocol, "chain: a \"{}\" that is not as it must be", message);
}

}  // namespace

std::string_view to_string(Purpose purpose) {
  switch (purpose) {
    case Purpose::join: return "to join it";
    case Purpose::replace: return "in the place of a lost one";
    case Purpose::leaf: return "as a leaf";
    case Purpose::trial: return "to try it";
  }
  return "?";
}

ByteVector pack(const Hello& message) {
  GODWIT_ASSERT(message.image.size() <= kImageLimit_bytes);
  auto out = begin(Type::hello);
  append_be32(out, kMagic);
  append_be32(out, kProtocolVersion);
  append_word(out, message.purpose);
  append_word(out, message.has_list);
  append_be64(out, message.pieces);
  append_text(out, message.image);
  return end(std::move(out));
}

ByteVector pack(const Answer& message) {
  auto out = begin(Type::answer);
  append_word(out, message.outcome);
  append_be64(out, message.pieces);
  append_text(out, message.successor);
  return end(std::move(out));
}

ByteVector pack(const List& message) {
  GODWIT_ASSERT(message.digests.size() <= kListDigests * sizeof(PieceDigest));
  auto out = begin(Type::list);
  append_be64(out, message.first);
  append(out, message.digests);
  return end(std::move(out));
}

ByteVector pack(const Have& message) {
  GODWIT_ASSERT(message.bits.size() <= kHaveLimit_bytes && message.first % 8 == 0);
  auto out = begin(Type::have);
  append_word(out, message.last);
  append_be64(out, message.first);
  append(out, message.bits);
  return end(std::move(out));
}

ByteVector pack(const News& message) {
  GODWIT_ASSERT(message.ancestors.size() <= kMostAncestors);
  auto out = begin(Type::news);
  append_be64(out, message.pieces);
  append_be64(out, message.bytes_per_s);
  append_word(out, message.tried);
  out.push_back(static_cast<std::byte>(message.ancestors.size()));
  for (const auto& each : message.ancestors) {
    append_text(out, each.name);
    append_be64(out, each.pieces);
    append_word(out, each.tried);
  }
  return end(std::move(out));
}

ByteVector pack(const Progress& message) {
  auto out = begin(Type::progress);
  append_be64(out, message.pieces);
  return end(std::move(out));
}

ByteVector pack(const Want& message) {
  GODWIT_ASSERT(message.pieces.size() <= kMostWanted);
  auto out = begin(Type::want);
  for (const auto each : message.pieces) append_be32(out, each);
  return end(std::move(out));
}

ByteVector pack(const More& message) {
  auto out = begin(Type::more);
  append_be16(out, message.pieces);
  return end(std::move(out));
}

ByteVector pack(const Stay&) { return end(begin(Type::stay)); }

ByteVector pack(const Moved& message) {
  auto out = begin(Type::moved);
  append_word(out, message.why);
  append_text(out, message.successor);
  return end(std::move(out));
}

ByteVector pack(const Pace& message) {
  auto out = begin(Type::pace);
  append_be64(out, message.bytes_per_s);
  return end(std::move(out));
}

void store_piece_head(ByteSpan frame, std::uint64_t number) {
  GODWIT_ASSERT(frame.size() > kPieceHead_bytes && frame.size() <= kPieceFrame_bytes);
  const auto type = frame.size() == kPieceFrame_bytes ? Type::piece : Type::packed;
  store_be32(frame, static_cast<std::uint32_t>(frame.size() - kHead_bytes));
  store_be32(frame.subspan(4), static_cast<std::uint32_t>(type) << 24U);
  store_be64(frame.subspan(kHead_bytes), number);
}

Result<Head> parse_head(ByteView head) {
  const auto word = load_be32(head.subspan(4));
  const Head parsed{static_cast<Type>(word >> 24U), load_be32(head)};
  if (parsed.type < Type::hello || parsed.type > Type::run || (word & 0xFFFFFFU) != 0) return bad("frame");
  if (parsed.body_bytes > kBodyLimit_bytes) {
    return fail(Errc::protocol, "chain: a frame of {} bytes where {} are allowed", parsed.body_bytes, kBodyLimit_bytes);
  }
  return parsed;
}

Result<Hello> parse_hello(ByteView body) {
  Reader reader(body);
  if (reader.u32() != kMagic) return bad("hello");
  if (const auto version = reader.u32(); reader.ok() && version != kProtocolVersion) {
    return fail(Errc::unsupported, "chain: version {} where {} is spoken: the older agent must be upgraded", version,
                kProtocolVersion);
  }
  Hello message;
  message.purpose = reader.word(Purpose::trial);
  message.has_list = reader.flag();
  message.pieces = reader.piece_count();
  message.image = reader.text();
  if (!reader.whole() || message.image.empty() || message.image.size() > kImageLimit_bytes) return bad("hello");
  return message;
}

Result<Answer> parse_answer(ByteView body) {
  Reader reader(body);
  Answer message;
  message.outcome = reader.word(Outcome::busy);
  message.pieces = reader.piece_count();
  message.successor = reader.text();
  if (!reader.whole()) return bad("answer");
  return message;
}

Result<List> parse_list(ByteView body) {
  Reader reader(body);
  List message;
  message.first = reader.piece_count();
  message.digests = reader.rest();
  const auto count = message.digests.size() / sizeof(PieceDigest);
  reader.refuse_unless(message.digests.size() % sizeof(PieceDigest) == 0 && count > 0 && count <= kListDigests);
  if (!reader.whole()) return bad("list");
  return message;
}

Result<Have> parse_have(ByteView body) {
  Reader reader(body);
  Have message;
  message.last = reader.flag();
  message.first = reader.piece_count();
  message.bits = reader.rest();
  reader.refuse_unless(message.first % 8 == 0 && message.bits.size() <= kHaveLimit_bytes);
  if (!reader.whole()) return bad("have");
  return message;
}

Result<News> parse_news(ByteView body) {
  Reader reader(body);
  News message;
  message.pieces = reader.piece_count();
  message.bytes_per_s = reader.u64();
  message.tried = reader.flag();
  const std::size_t count = reader.u8();
  reader.refuse_unless(count <= kMostAncestors);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    Ancestor each;
    each.name = reader.text();
    each.pieces = reader.piece_count();
    each.tried = reader.flag();
    message.ancestors.push_back(std::move(each));
  }
  if (!reader.whole()) return bad("news");
  return message;
}

Result<Progress> parse_progress(ByteView body) {
  Reader reader(body);
  const Progress message{reader.piece_count()};
  if (!reader.whole()) return bad("progress");
  return message;
}

Result<Want> parse_want(ByteView body) {
  if (body.size() % 4 != 0 || body.size() / 4 > kMostWanted) return bad("want");
  Want message;
  for (; !body.empty(); body = body.subspan(4)) message.pieces.push_back(load_be32(body));
  return message;
}

Result<More> parse_more(ByteView body) {
  if (body.size() != 2) return bad("more");
  return More{load_be16(body)};
}

Result<Stay> parse_stay(ByteView body) {
  if (!body.empty()) return bad("stay");
  return Stay{};
}

Result<Moved> parse_moved(ByteView body) {
  Reader reader(body);
  Moved message;
  message.why = reader.word(Why::follow);
  message.successor = reader.text();
  if (!reader.whole()) return bad("moved");
  return message;
}

Result<Pace> parse_pace(ByteView body) {
  if (body.size() != 8) return bad("pace");
  return Pace{load_be64(body)};
}

Result<std::uint64_t> parse_piece(ByteView body) {
  Reader reader(body);
  const auto number = reader.u64();
  reader.refuse_unless(number < kPiecesLimit);
  static_cast<void>(reader.take(kPiece_bytes));
  if (!reader.whole()) return bad("piece");
  return number;
}

Result<std::uint64_t> parse_packed(ByteView body) {
  Reader reader(body);
  const auto number = reader.u64();
  const auto content = reader.rest();
  reader.refuse_unless(number < kPiecesLimit && !content.empty() && content.size() <= kPackedLimit_bytes);
  if (!reader.whole()) return bad("packed");
  return number;
}

}  // namespace godwit::image::chain
