#include "tunnel/hello.h"

#include "base/id.h"

#include "tunnel/images.h"
#include <algorithm>

namespace godwit::tunnel {
namespace {

constexpr std::size_t kEncodings = 16;
constexpr std::size_t kReasonLimit_bytes = 4UL * 1024;

std::unexpected<Error> bad(std::string_view message, std::string_view field) {
  return fail(Errc::protocol, "{}: {} is not as it must be", message, field);
}

// In one order only: each set of images is one content that an end keeps an index of.
bool are_images(const std::vector<std::string>& digests) {
  const auto not_ascending = [](const auto& a, const auto& b) { return a >= b; };
  return digests.size() <= kImages && std::ranges::all_of(digests, is_digest) &&
         std::ranges::adjacent_find(digests, not_ascending) == digests.end();
}

// `version` first: what a newer one means by the other fields is not known here.
template <class Message>
Result<Message> parse(std::string_view json, std::string_view what) {
  auto message = wire::decode<Message>(json, kFrameLimit_bytes);
  if (!message) return fail(Errc::protocol, "{}: {}", what, message.error().message);
  if (message->version == 0) return bad(what, "version");
  if (message->version == kProtocolVersion) return message;
  return fail(Errc::unsupported,
              "{}: version {} of the tunnel's protocol, here is {}; install the same Godwit at both ends", what,
              message->version, kProtocolVersion);
}

}  // namespace

Result<> check_tenant(const std::string& tenant) {
  if (is_label(tenant)) return {};
  return fail(Errc::invalid_argument, "--tenant {}: must be lower-case letters, digits and -", tenant);
}

Result<Hello> parse_hello(std::string_view json) {
  auto hello = parse<Hello>(json, "Hello");
  if (!hello) return hello;
  if (hello->channel == Channel::none) return bad("Hello", "channel");
  if (hello->channel == Channel::libvirt) return hello;
  if (hello->guest == 0 || hello->guest > kGuestsLimit) return bad("Hello", "guest");
  if (!is_id("mig", hello->migration)) return bad("Hello", "migration");
  if (!is_label(hello->tenant)) return bad("Hello", "tenant");
  if (!are_images(hello->images)) return bad("Hello", "images");
  if (hello->encodings.empty() || hello->encodings.size() > kEncodings) return bad("Hello", "encodings");
  return hello;
}

Result<Welcome> parse_welcome(std::string_view json) {
  auto welcome = parse<Welcome>(json, "Welcome");
  if (!welcome) return welcome;
  if (welcome->error.size() > kReasonLimit_bytes) return bad("Welcome", "error");
  if (!are_images(welcome->images)) return bad("Welcome", "images");
  return welcome;
}

sys::Task<Result<Welcome>> introduce(sys::Stream& stream, Hello hello) {
  const auto bytes = migrate::pack(hello);
  const auto written = co_await stream.write(bytes);
  if (!written) co_return pass(written);
  const auto json = co_await migrate::read_packed(stream, kFrameLimit_bytes);
  if (!json) co_return pass(json);
  auto welcome = parse_welcome(*json);
  if (!welcome || welcome->ok) co_return welcome;
  const auto code = errc_from_string(welcome->code);
  co_return fail(code, "refused by the receiving end: {}", welcome->error);
}

}  // namespace godwit::tunnel
