#include "image/chain_messages.h"

#include "base/assert.h"
#include "base/byte_reader.h"
#include "base/frame_writer.h"

#include <algorithm>

namespace godwit::image::chain {
namespace {

constexpr std::uint32_t kMagic = 0x4743484e;  // "GCHN"

// The length counts the body alone.
FrameWriter begin(Type type) {
  FrameWriter out(kHead_bytes);
  out.be32(static_cast<std::uint32_t>(type) << 24U);
  return out;
}

ByteVector end(FrameWriter out) {
  auto frame = out.take();
  GODWIT_ASSERT(frame.size() <= kHead_bytes + kBodyLimit_bytes);
  return frame;
}

std::uint64_t piece_count(ByteReader& reader) {
  const auto count = reader.be64();
  reader.refuse_unless(count <= kPiecesLimit);
  return count;
}

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
  out.be32(kMagic);
  out.be32(kProtocolVersion);
  out.word(message.purpose);
  out.word(message.has_list);
  out.be64(message.pieces);
  out.short_text(message.image);
  return end(std::move(out));
}

ByteVector pack(const Answer& message) {
  auto out = begin(Type::answer);
  out.word(message.outcome);
  out.be64(message.pieces);
  out.short_text(message.successor);
  return end(std::move(out));
}

ByteVector pack(const List& message) {
  GODWIT_ASSERT(message.digests.size() <= kListDigests * sizeof(PieceDigest));
  auto out = begin(Type::list);
  out.be64(message.first);
  out.bytes(message.digests);
  return end(std::move(out));
}

ByteVector pack(const Have& message) {
  GODWIT_ASSERT(message.bits.size() <= kHaveLimit_bytes && message.first % 8 == 0);
  auto out = begin(Type::have);
  out.word(message.last);
  out.be64(message.first);
  out.bytes(message.bits);
  return end(std::move(out));
}

ByteVector pack(const News& message) {
  GODWIT_ASSERT(message.ancestors.size() <= kMostAncestors);
  auto out = begin(Type::news);
  out.be64(message.pieces);
  out.be64(message.bytes_per_s);
  out.word(message.tried);
  out.byte(static_cast<std::uint8_t>(message.ancestors.size()));
  for (const auto& each : message.ancestors) {
    out.short_text(each.name);
    out.be64(each.pieces);
    out.word(each.tried);
  }
  return end(std::move(out));
}

ByteVector pack(const Progress& message) {
  auto out = begin(Type::progress);
  out.be64(message.pieces);
  return end(std::move(out));
}

ByteVector pack(const Want& message) {
  GODWIT_ASSERT(message.pieces.size() <= kMostWanted);
  auto out = begin(Type::want);
  for (const auto each : message.pieces) out.be32(each);
  return end(std::move(out));
}

ByteVector pack(const More& message) {
  auto out = begin(Type::more);
  out.be16(message.pieces);
  return end(std::move(out));
}

ByteVector pack(const Stay&) { return end(begin(Type::stay)); }

ByteVector pack(const Moved& message) {
  auto out = begin(Type::moved);
  out.word(message.why);
  out.short_text(message.successor);
  return end(std::move(out));
}

ByteVector pack(const Pace& message) {
  auto out = begin(Type::pace);
  out.be64(message.bytes_per_s);
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
  ByteReader reader(body);
  if (reader.be32() != kMagic) return bad("hello");
  if (const auto version = reader.be32(); reader.is_whole() && version != kProtocolVersion) {
    return fail(Errc::unsupported, "chain: version {} where {} is spoken: the older agent must be upgraded", version,
                kProtocolVersion);
  }
  Hello message;
  message.purpose = reader.word(Purpose::trial);
  message.has_list = reader.flag();
  message.pieces = piece_count(reader);
  message.image = reader.short_text();
  if (!reader.ended_in_order() || message.image.empty() || message.image.size() > kImageLimit_bytes)
    return bad("hello");
  return message;
}

Result<Answer> parse_answer(ByteView body) {
  ByteReader reader(body);
  Answer message;
  message.outcome = reader.word(Outcome::busy);
  message.pieces = piece_count(reader);
  message.successor = reader.short_text();
  if (!reader.ended_in_order()) return bad("answer");
  return message;
}

Result<List> parse_list(ByteView body) {
  ByteReader reader(body);
  List message;
  message.first = piece_count(reader);
  message.digests = reader.rest();
  const auto count = message.digests.size() / sizeof(PieceDigest);
  reader.refuse_unless(message.digests.size() % sizeof(PieceDigest) == 0 && count > 0 && count <= kListDigests);
  if (!reader.ended_in_order()) return bad("list");
  return message;
}

Result<Have> parse_have(ByteView body) {
  ByteReader reader(body);
  Have message;
  message.last = reader.flag();
  message.first = piece_count(reader);
  message.bits = reader.rest();
  reader.refuse_unless(message.first % 8 == 0 && message.bits.size() <= kHaveLimit_bytes);
  if (!reader.ended_in_order()) return bad("have");
  return message;
}

Result<News> parse_news(ByteView body) {
  ByteReader reader(body);
  News message;
  message.pieces = piece_count(reader);
  message.bytes_per_s = reader.be64();
  message.tried = reader.flag();
  const std::size_t count = reader.byte();
  reader.refuse_unless(count <= kMostAncestors);
  for (std::size_t i = 0; i < count && reader.is_whole(); ++i) {
    Ancestor each;
    each.name = reader.short_text();
    each.pieces = piece_count(reader);
    each.tried = reader.flag();
    message.ancestors.push_back(std::move(each));
  }
  if (!reader.ended_in_order()) return bad("news");
  return message;
}

Result<Progress> parse_progress(ByteView body) {
  ByteReader reader(body);
  const Progress message{piece_count(reader)};
  if (!reader.ended_in_order()) return bad("progress");
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
  ByteReader reader(body);
  Moved message;
  message.why = reader.word(Why::follow);
  message.successor = reader.short_text();
  if (!reader.ended_in_order()) return bad("moved");
  return message;
}

Result<Pace> parse_pace(ByteView body) {
  if (body.size() != 8) return bad("pace");
  return Pace{load_be64(body)};
}

Result<std::uint64_t> parse_piece(ByteView body) {
  ByteReader reader(body);
  const auto number = reader.be64();
  reader.refuse_unless(number < kPiecesLimit);
  static_cast<void>(reader.take(kPiece_bytes));
  if (!reader.ended_in_order()) return bad("piece");
  return number;
}

Result<std::uint64_t> parse_packed(ByteView body) {
  ByteReader reader(body);
  const auto number = reader.be64();
  const auto content = reader.rest();
  reader.refuse_unless(number < kPiecesLimit && !content.empty() && content.size() <= kPackedLimit_bytes);
  if (!reader.ended_in_order()) return bad("packed");
  return number;
}

}  // namespace godwit::image::chain
