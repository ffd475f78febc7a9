#include "migrate/shrink_frames.h"

#include <algorithm>

namespace godwit::migrate {
namespace {

constexpr std::byte kVersion{1};

std::unexpected<Error> bad(std::string_view what) { return fail(Errc::protocol, "a frame that is not ours: {}", what); }

}  // namespace

std::unexpected<Error> ended_within_frame(const Error& error) {
  return fail(Errc::protocol, "the stream ended within a frame: {}", error.message);
}

sys::Task<Result<ReceivedHeader>> read_header(sys::Stream& stream) {
  FrameHeader header{};
  const auto first = co_await stream.read_some(header);
  if (!first) co_return pass(first);
  const auto rest = co_await sys::read_exactly(stream, std::span(header).subspan(*first));
  if (!rest) co_return ended_within_frame(rest.error());
  ReceivedHeader received;
  received.type = static_cast<ShrinkFrame>(header.front());
  received.size_bytes = load_be32(std::span(header).subspan(1));
  if (received.size_bytes > kShrinkFrameLimit_bytes) co_return bad("its size");
  co_return received;
}

sys::Task<Result<>> read_payload(sys::Stream& stream, ByteSpan into) {
  const auto payload = co_await sys::read_exactly(stream, into);
  if (!payload) co_return ended_within_frame(payload.error());
  co_return payload;
}

sys::Task<Result<ReceivedFrame>> read_frame(sys::Stream& stream) {
  const auto header = co_await read_header(stream);
  if (!header) co_return pass(header);
  ReceivedFrame frame;
  frame.type = header->type;
  frame.payload.resize(header->size_bytes);
  const auto payload = co_await read_payload(stream, frame.payload);
  if (!payload) co_return pass(payload);
  co_return frame;
}

FrameHeader make_header(ShrinkFrame type, std::size_t payload_bytes) {
  FrameHeader header{static_cast<std::byte>(type)};
  store_be32(std::span(header).subspan(1), static_cast<std::uint32_t>(payload_bytes));
  return header;
}

ByteVector make_frame(ShrinkFrame type, ByteView payload) {
  ByteVector frame;
  frame.reserve(kFrameHeader_bytes + payload.size());
  append(frame, make_header(type, payload.size()));
  append(frame, payload);
  return frame;
}

ByteVector pack(const ShrinkHello& hello) {
  ByteVector out{kVersion};
  append(out, hello.rapport);
  append_be32(out, hello.connection);
  return out;
}

ByteVector pack(const ShrinkWelcome& welcome) {
  ByteVector out{kVersion, welcome.known ? std::byte{1} : std::byte{0}};
  append(out, welcome.rapport);
  append_be32(out, welcome.sent_from);
  append_be32(out, welcome.theirs_from);
  append_be32(out, welcome.connection);
  append_be32(out, welcome.window_bytes);
  if (welcome.key) append(out, *welcome.key);
  return out;
}

Result<ShrinkHello> parse_shrink_hello(ByteView payload) {
  ShrinkHello hello;
  if (payload.size() != 1 + hello.rapport.size() + 4 || payload.front() != kVersion) return bad("hello");
  std::ranges::copy(payload.subspan(1, hello.rapport.size()), hello.rapport.begin());
  hello.connection = load_be32(payload.last(4));
  return hello;
}

Result<ShrinkWelcome> parse_shrink_welcome(ByteView payload) {
  ShrinkWelcome welcome;
  constexpr std::size_t kNumbers = 2 + sizeof(RapportId);
  constexpr std::size_t kLeast = kNumbers + 4 * sizeof(std::uint32_t);
  auto& key = welcome.key.emplace();
  const bool has_key = payload.size() == kLeast + key.size();
  if ((payload.size() != kLeast && !has_key) || payload.front() != kVersion) return bad("welcome");
  welcome.known = payload[1] == std::byte{1};
  std::ranges::copy(payload.subspan(2, welcome.rapport.size()), welcome.rapport.begin());
  welcome.sent_from = load_be32(payload.subspan(kNumbers));
  welcome.theirs_from = load_be32(payload.subspan(kNumbers + 4));
  welcome.connection = load_be32(payload.subspan(kNumbers + 8));
  welcome.window_bytes = load_be32(payload.subspan(kNumbers + 12));
  std::ranges::copy(payload.subspan(kLeast), key.begin());
  if (!has_key) welcome.key.reset();
  return welcome;
}

ByteVector pack_number(std::uint64_t batch) {
  ByteVector out;
  append_be64(out, batch);
  return out;
}

Result<std::uint64_t> parse_number(ByteView payload) {
  if (payload.size() != sizeof(std::uint64_t)) return bad("a batch's number");
  return load_be64(payload);
}

}  // namespace godwit::migrate
