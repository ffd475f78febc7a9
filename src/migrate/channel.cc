#include "migrate/channel.h"

#include "base/id.h"

namespace godwit::migrate {
namespace {

constexpr std::size_t kNonceLimit = 64;
constexpr std::size_t kTicketLimit_bytes = 16UL * 1024;
constexpr std::size_t kUrlLimit_bytes = 256;
constexpr std::size_t kEncodings = 16;

template <class Message>
Result<Message> parse(std::string_view json, std::size_t limit_bytes, std::string_view what) {
  auto message = wire::decode<Message>(json, limit_bytes);
  if (!message) return fail(Errc::protocol, "{}: {}", what, message.error().message);
  return message;
}

std::unexpected<Error> bad(std::string_view message, std::string_view field) {
  return fail(Errc::protocol, "{}: {} is not as it must be", message, field);
}

}  // namespace

Result<Hello> parse_hello(std::string_view json) {
  auto hello = parse<Hello>(json, kHelloLimit_bytes, "Hello");
  if (!hello) return hello;
  if (hello->version == 0) return bad("Hello", "version");
  if (!is_id("mig", hello->migration)) return bad("Hello", "migration");
  if (hello->nonce.size() > kNonceLimit) return bad("Hello", "nonce");
  if (hello->ticket.size() > kTicketLimit_bytes) return bad("Hello", "ticket");
  if (hello->source_api.size() > kUrlLimit_bytes) return bad("Hello", "source_api");
  if (hello->encodings.size() > kEncodings) return bad("Hello", "encodings");
  // The destination claims one more, and so on for ever.
  if (hello->location_version >= (1ULL << 62U)) return bad("Hello", "location_version");
  return hello;
}

Result<Welcome> parse_welcome(std::string_view json) {
  auto welcome = parse<Welcome>(json, kFrameLimit_bytes, "Welcome");
  if (!welcome) return welcome;
  if (welcome->version == 0) return bad("Welcome", "version");
  if (welcome->nonce.size() > kNonceLimit) return bad("Welcome", "nonce");
  if (welcome->error.size() > kReasonLimit_bytes) return bad("Welcome", "error");
  return welcome;
}

Result<Frame> parse_frame(std::string_view json) {
  auto frame = parse<Frame>(json, kFrameLimit_bytes, "frame");
  if (!frame) return frame;
  if (frame->type == FrameType::none) return bad("frame", "type");
  if (frame->reason.size() > kReasonLimit_bytes) return bad("frame", "reason");
  if (!wire::are_hand_offs(frame->hand_offs)) return bad("frame", "hand_offs");
  return frame;
}

std::optional<Saying> saying_of(const Frame& frame) {
  switch (frame.type) {
    case FrameType::prepared: return Saying::prepared;
    case FrameType::released: return Saying::released;
    case FrameType::owned: return Saying::owned;
    case FrameType::abort: return Saying::abort;
    case FrameType::settled: return Saying::settled;
    case FrameType::none:
    case FrameType::ping:
    case FrameType::pong:
    case FrameType::disk_ready:
    case FrameType::paused:
    case FrameType::drained:
    case FrameType::progress: return std::nullopt;
  }
  return std::nullopt;
}

sys::Task<Result<std::string>> read_packed(sys::Stream& stream, std::size_t limit_bytes) {
  ByteVector bytes(4);
  auto read = co_await sys::read_exactly(stream, bytes);
  if (!read) co_return pass(read);
  const std::size_t size = load_be32(bytes);
  if (size == 0 || size > limit_bytes) {
    co_return fail(Errc::protocol, "a frame of {} bytes where 1 to {} are allowed", size, limit_bytes);
  }
  bytes.resize(size);
  read = co_await sys::read_exactly(stream, bytes);
  if (!read) co_return pass(read);
  co_return std::string(as_text(bytes));
}

sys::Task<Result<Welcome>> introduce(sys::Stream& stream, Hello hello) {
  const bool may_be_unknown = hello.resume;
  const auto bytes = pack(hello);
  const auto written = co_await stream.write(bytes);
  if (!written) co_return pass(written);
  const auto json = co_await read_packed(stream, kFrameLimit_bytes);
  if (!json) co_return pass(json);
  auto welcome = parse_welcome(*json);
  if (!welcome) co_return welcome;
  if (welcome->ok || (welcome->unknown && may_be_unknown)) co_return welcome;
  const auto code = errc_from_string(welcome->code);
  co_return fail(code, "refused by the destination: {}", welcome->error);
}

}  // namespace godwit::migrate
