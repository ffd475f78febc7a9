#include "migrate/shrink_frames.h"

#include <algorithm>

namespace godwit::migrate {
namespace {

// Of a sketch, in `alike`.
constexpr std::byte kNewAlike{1};
constexpr std::byte kKnownAlike{2};
constexpr std::size_t kHello_bytes = 1 + sizeof(RapportId) + 4;

std::unexpected<Error> bad(std::string_view what) { return fail(Errc::protocol, "a frame that is not ours: {}", what); }

bool is_spoken(std::byte version) { return version >= std::byte{1} && version <= std::byte{kFramesVersion}; }

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
  ByteVector out{static_cast<std::byte>(hello.version)};
  append(out, hello.rapport);
  append_be32(out, hello.connection);
  if (hello.key) append(out, *hello.key);
  return out;
}

ByteVector pack(const ShrinkWelcome& welcome) {
  ByteVector out{static_cast<std::byte>(welcome.version), welcome.known ? std::byte{1} : std::byte{0}};
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
  const bool has_key = payload.size() == kHello_bytes + sizeof(CloudKey);
  if ((payload.size() != kHello_bytes && !has_key) || !is_spoken(payload.front())) return bad("hello");
  hello.version = static_cast<std::uint8_t>(payload.front());
  if (has_key && hello.version == 1) return bad("hello");
  std::ranges::copy(payload.subspan(1, hello.rapport.size()), hello.rapport.begin());
  hello.connection = load_be32(payload.subspan(1 + hello.rapport.size()));
  if (has_key) std::ranges::copy(payload.last(sizeof(CloudKey)), hello.key.emplace().begin());
  return hello;
}

Result<ShrinkWelcome> parse_shrink_welcome(ByteView payload) {
  ShrinkWelcome welcome;
  constexpr std::size_t kNumbers = 2 + sizeof(RapportId);
  constexpr std::size_t kLeast = kNumbers + 4 * sizeof(std::uint32_t);
  auto& key = welcome.key.emplace();
  const bool has_key = payload.size() == kLeast + key.size();
  if ((payload.size() != kLeast && !has_key) || !is_spoken(payload.front())) return bad("welcome");
  welcome.version = static_cast<std::uint8_t>(payload.front());
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

ByteVector pack_sketches(const std::vector<content::Sketch>& sketches) {
  ByteVector out;
  for (const auto& each : sketches) {
    for (const auto feature : each) append_be32(out, feature);
  }
  return out;
}

Result<std::vector<content::Sketch>> parse_sketches(ByteView payload) {
  std::vector<content::Sketch> sketches(payload.size() / sizeof(content::Sketch));
  if (sketches.empty() || sketches.size() > content::kSeekLimit || payload.size() % sizeof(content::Sketch) != 0) {
    return bad("sketches");
  }
  for (auto& each : sketches) {
    for (auto& feature : each) {
      feature = load_be32(payload);
      payload = payload.subspan(sizeof(feature));
    }
  }
  return sketches;
}

ByteVector pack(const Alikes& alikes) {
  ByteVector out;
  for (const auto& each : alikes) {
    out.push_back(each ? (each->is_new ? kNewAlike : kKnownAlike) : std::byte{0});
  }
  for (const auto& each : alikes) {
    if (each) append(out, each->digest);
  }
  return out;
}

Result<Alikes> parse_alikes(ByteView payload, std::size_t count) {
  if (payload.size() < count) return bad("alike");
  auto digests = payload.subspan(count);
  Alikes alikes(count);
  for (std::size_t at = 0; at < count; ++at) {
    if (payload[at] == std::byte{0}) continue;
    if (payload[at] > kKnownAlike || digests.size() < sizeof(content::PageDigest)) return bad("alike");
    auto& page = alikes[at].emplace();
    page.is_new = payload[at] == kNewAlike;
    std::ranges::copy(digests.first(page.digest.size()), page.digest.begin());
    digests = digests.subspan(page.digest.size());
  }
  if (!digests.empty()) return bad("alike");
  return alikes;
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
