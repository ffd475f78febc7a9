#include "image/desk_messages.h"

#include "base/assert.h"
#include "base/byte_reader.h"
#include "base/frame_writer.h"
#include "sys/frames.h"

namespace godwit::image::desk {
namespace {

constexpr std::uint32_t kMagic = 0x4744534b;  // "GDSK"

FrameWriter begin(Type type) {
  FrameWriter out;
  out.word(type);
  return out;
}

void append_ranges(FrameWriter& out, const std::vector<Range>& ranges) {
  GODWIT_ASSERT(ranges.size() <= kRangesLimit);
  out.be16(static_cast<std::uint16_t>(ranges.size()));
  for (const auto& range : ranges) {
    out.be32(range.first);
    out.be32(range.count);
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
  out.be32(kMagic);
  out.be32(kProtocolVersion);
  return out.take();
}

ByteVector pack(const Welcome& message) {
  auto out = begin(Type::welcome);
  out.be32(kProtocolVersion);
  out.be64(message.bytes);
  return out.take();
}

ByteVector pack(const Map& message) {
  GODWIT_ASSERT(message.bits.size() <= kMapLimit_bytes);
  auto out = begin(Type::map);
  out.be32(message.first);
  out.bytes(message.bits);
  return out.take();
}

ByteVector pack(const Here& message) {
  auto out = begin(Type::here);
  append_ranges(out, message.ranges);
  return out.take();
}

ByteVector pack(const Want& message) {
  auto out = begin(Type::want);
  out.word(message.urgency);
  append_ranges(out, message.ranges);
  return out.take();
}

ByteVector pack(const Touched& message) {
  GODWIT_ASSERT(message.pieces.size() <= kTouchedLimit);
  auto out = begin(Type::touched);
  out.be32(message.at);
  out.be16(static_cast<std::uint16_t>(message.pieces.size()));
  for (const auto piece : message.pieces) out.be32(piece);
  return out.take();
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
  const auto urgency = reader.word(Urgency::soon);
  Want message{urgency, read_ranges(reader)};
  if (!reader.ended_in_order()) return bad("want");
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
  return sys::read_frame(stream, limit_bytes, "disk server");
}

}  // namespace godwit::image::desk
