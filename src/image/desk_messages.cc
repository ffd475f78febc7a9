#include "image/desk_messages.h"

#include "base/assert.h"
#include "base/byte_reader.h"

#include <array>

namespace godwit::image::desk {
namespace {

constexpr std::uint32_t kMagic = 0x4744534b;  // "GDSK"

ByteVector begin(Type type) {
  ByteVector out;
  append_be32(out, 0);  // the length, when it is known
  out.push_back(static_cast<std::byte>(type));
  return out;
}

ByteVector end(ByteVector out) {
  store_be32(out, static_cast<std::uint32_t>(out.size() - 4));
  return out;
}

void append_ranges(ByteVector& out, const std::vector<Range>& ranges) {
  GODWIT_ASSERT(ranges.size() <= kRangesLimit);
  append_be16(out, static_cast<std::uint16_t>(ranges.size()));
  for (const auto& range : ranges) {
    append_be32(out, range.first);
    append_be32(out, range.count);
  }
}

std::unexpected<Error> bad(std::string_view message) {
  return fail(Errc::protocol, "disk server: a \"{}\" that is not as it must be", message);
}

bool is(ByteReader& reader, Type type) { return reader.byte() == static_cast<std::uint8_t>(type); }

// Empty where they are too many.
std::vector<Range> read_ranges(ByteReader& reader) {
  const std::size_t count = reader.be16();
  std::vector<Range> ranges;
  for (std::size_t i = 0; i < count && count <= kRangesLimit; ++i) {
    const auto first = reader.be32();
    ranges.push_back({first, reader.be32()});
  }
  return ranges;
}

}  // namespace

ByteVector pack(const Hello&) {
  auto out = begin(Type::hello);
  append_be32(out, kMagic);
  append_be32(out, kProtocolVersion);
  return end(std::move(out));
}

ByteVector pack(const Welcome& message) {
  auto out = begin(Type::welcome);
  append_be32(out, kProtocolVersion);
  append_be64(out, message.bytes);
  return end(std::move(out));
}

ByteVector pack(const Map& message) {
  GODWIT_ASSERT(message.bits.size() <= kMapLimit_bytes);
  auto out = begin(Type::map);
  append_be32(out, message.first);
  append(out, message.bits);
  return end(std::move(out));
}

ByteVector pack(const Here& message) {
  auto out = begin(Type::here);
  append_ranges(out, message.ranges);
  return end(std::move(out));
}

ByteVector pack(const Want& message) {
  auto out = begin(Type::want);
  out.push_back(static_cast<std::byte>(message.urgency));
  append_ranges(out, message.ranges);
  return end(std::move(out));
}

ByteVector pack(const Touched& message) {
  GODWIT_ASSERT(message.pieces.size() <= kTouchedLimit);
  auto out = begin(Type::touched);
  append_be32(out, message.at);
  append_be16(out, static_cast<std::uint16_t>(message.pieces.size()));
  for (const auto piece : message.pieces) append_be32(out, piece);
  return end(std::move(out));
}

Result<Hello> parse_hello(ByteView frame) {
  ByteReader reader(frame);
  if (!is(reader, Type::hello) || reader.be32() != kMagic) return bad("hello");
  const auto version = reader.be32();
  if (!reader.ended_in_order()) return bad("hello");
  if (version != kProtocolVersion) return fail(Errc::unsupported, "disk server: it speaks version {}", version);
  return Hello{};
}

Result<Welcome> parse_welcome(ByteView frame) {
  ByteReader reader(frame);
  if (!is(reader, Type::welcome)) return bad("welcome");
  const auto version = reader.be32();
  const Welcome message{reader.be64()};
  if (!reader.ended_in_order()) return bad("welcome");
  if (version != kProtocolVersion) return fail(Errc::unsupported, "the agent speaks version {}", version);
  return message;
}

Result<Map> parse_map(ByteView frame) {
  ByteReader reader(frame);
  if (!is(reader, Type::map)) return bad("map");
  const auto first = reader.be32();
  const Map message{first, reader.rest()};
  if (!reader.ended_in_order() || first % 8 != 0 || message.bits.size() > kMapLimit_bytes) return bad("map");
  return message;
}

Result<Here> parse_here(ByteView frame) {
  ByteReader reader(frame);
  if (!is(reader, Type::here)) return bad("here");
  Here message{read_ranges(reader)};
  if (!reader.ended_in_order()) return bad("here");
  return message;
}

Result<Want> parse_want(ByteView frame) {
  ByteReader reader(frame);
  if (!is(reader, Type::want)) return bad("want");
  const auto urgency = static_cast<Urgency>(reader.byte());
  Want message{urgency, read_ranges(reader)};
  if (!reader.ended_in_order() || (urgency != Urgency::now && urgency != Urgency::soon)) return bad("want");
  return message;
}

Result<Touched> parse_touched(ByteView frame) {
  ByteReader reader(frame);
  if (!is(reader, Type::touched)) return bad("touched");
  Touched message;
  message.at = reader.be32();
  const std::size_t count = reader.be16();
  for (std::size_t i = 0; i < count && count <= kTouchedLimit; ++i) message.pieces.push_back(reader.be32());
  if (!reader.ended_in_order()) return bad("touched");
  return message;
}

Type type_of(ByteView frame) { return frame.empty() ? Type{0} : static_cast<Type>(frame.front()); }

std::vector<Range> take_ranges(std::vector<std::uint32_t>& pieces) {
  std::vector<Range> ranges;
  std::size_t taken = 0;
  for (; taken < pieces.size(); ++taken) {
    const auto piece = pieces[taken];
    if (!ranges.empty() && ranges.back().first + ranges.back().count == piece) {
      ++ranges.back().count;
    } else if (ranges.size() < kRangesLimit) {
      ranges.push_back({piece, 1});
    } else {
      break;
    }
  }
  pieces.erase(pieces.begin(), pieces.begin() + static_cast<std::ptrdiff_t>(taken));
  return ranges;
}

sys::Task<Result<ByteVector>> read_frame(sys::Stream& stream, std::size_t limit_bytes) {
  std::array<std::byte, 4> head{};
  const auto begun = co_await sys::read_exactly(stream, head);
  if (!begun) co_return pass(begun);
  const std::size_t size = load_be32(head);
  if (size == 0 || size > limit_bytes) co_return fail(Errc::protocol, "disk server: a frame of {} bytes", size);
  ByteVector frame(size);
  const auto read = co_await sys::read_exactly(stream, frame);
  if (!read) co_return pass(read);
  co_return frame;
}

}  // namespace godwit::image::desk
