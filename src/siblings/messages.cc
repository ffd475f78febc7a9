#include "siblings/messages.h"

#include "base/assert.h"
#include "base/page.h"

#include <algorithm>

namespace godwit::siblings {
namespace {

constexpr std::uint32_t kMagic = 0x47444952;  // "GDIR"
static_assert(kAnswerLimit_bytes == 16 + kFetchLimit * (1 + kPage_bytes));

// ---- writing

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

void append_text(ByteVector& out, const std::string& text) {
  GODWIT_ASSERT(text.size() <= kNameLimit_bytes);
  out.push_back(static_cast<std::byte>(text.size()));
  append(out, as_bytes(text));
}

void append_digests(ByteVector& out, const std::vector<PageDigest>& digests) {
  GODWIT_ASSERT(digests.size() <= kDigestsLimit);
  append_be16(out, static_cast<std::uint16_t>(digests.size()));
  for (const auto& each : digests) append(out, each);
}

void append_tags(ByteVector& out, const std::vector<SketchTag>& tags) {
  GODWIT_ASSERT(tags.size() <= kTagsLimit);
  append_be16(out, static_cast<std::uint16_t>(tags.size()));
  for (const auto each : tags) append_be64(out, each);
}

void append_sketches(ByteVector& out, const std::vector<Sketch>& sketches) {
  append_be16(out, static_cast<std::uint16_t>(sketches.size()));
  for (const auto& each : sketches) {
    for (const auto feature : each) append_be32(out, feature);
  }
}

ByteVector pack_digests(Type type, const std::vector<PageDigest>& digests) {
  auto out = begin(type);
  append_digests(out, digests);
  return end(std::move(out));
}

// ---- reading

// Takes from the front; once something was missing, all that follows is zeros and ok() is false.
class Reader {
 public:
  explicit Reader(ByteView frame) : rest_(frame) {}

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
  std::uint16_t u16() {
    const auto bytes = take(2);
    return ok_ ? load_be16(bytes) : std::uint16_t{0};
  }
  std::uint32_t u32() {
    const auto bytes = take(4);
    return ok_ ? load_be32(bytes) : 0;
  }
  std::uint64_t u64() {
    const auto bytes = take(8);
    return ok_ ? load_be64(bytes) : 0;
  }
  template <std::size_t n>
  void into(std::array<std::byte, n>& out) {
    const auto bytes = take(n);
    if (ok_) std::copy(bytes.begin(), bytes.end(), out.begin());
  }
  std::string text() {
    const auto bytes = take(u8());
    return std::string(as_text(bytes));
  }
  std::vector<PageDigest> digests(std::size_t limit) {
    const std::size_t count = u16();
    if (count > limit || rest_.size() < count * sizeof(PageDigest)) ok_ = false;
    if (!ok_) return {};
    std::vector<PageDigest> out(count);
    for (auto& each : out) into(each);
    return out;
  }
  std::vector<SketchTag> tags() {
    const std::size_t count = u16();
    if (count > kTagsLimit || rest_.size() < count * sizeof(SketchTag)) ok_ = false;
    if (!ok_) return {};
    std::vector<SketchTag> out(count);
    for (auto& each : out) each = u64();
    return out;
  }
  std::vector<Sketch> sketches(std::size_t limit) {
    const std::size_t count = u16();
    if (count > limit || rest_.size() < count * sizeof(Sketch)) ok_ = false;
    if (!ok_) return {};
    std::vector<Sketch> out(count);
    for (auto& each : out) {
      for (auto& feature : each) feature = u32();
    }
    return out;
  }

  void refuse() { ok_ = false; }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool whole() const { return ok_ && rest_.empty(); }
  [[nodiscard]] std::size_t left() const { return rest_.size(); }

 private:
  ByteView rest_;
  bool ok_{true};
};

Reader open(ByteView frame, Type type) {
  Reader reader(frame);
  if (reader.u8() != static_cast<std::uint8_t>(type)) reader.refuse();
  return reader;
}

std::unexpected<Error> bad(std::string_view message) {
  return fail(Errc::protocol, "directory: a \"{}\" that is not as it must be", message);
}

std::unexpected<Error> other_version(std::uint32_t version) {
  return fail(Errc::unsupported, "directory: version {} where {} to {} are spoken: the older agent must be upgraded",
              version, kOldestVersion, kProtocolVersion);
}

bool is_spoken(std::uint32_t version) { return version >= kOldestVersion && version <= kProtocolVersion; }

}  // namespace

ByteVector pack(const Hello& message) {
  auto out = begin(Type::hello);
  append_be32(out, kMagic);
  append_be32(out, message.version);
  append_be64(out, message.incarnation);
  return end(std::move(out));
}

ByteVector pack(const Welcome& message) {
  auto out = begin(Type::welcome);
  append_be32(out, message.version);
  append_be64(out, message.incarnation);
  append(out, message.nonce);
  return end(std::move(out));
}

ByteVector pack(const Tell& message) { return pack_digests(Type::tell, message.digests); }
ByteVector pack(const Withdraw& message) { return pack_digests(Type::withdraw, message.digests); }

ByteVector pack(const Lookup& message) {
  auto out = begin(Type::lookup);
  append_be32(out, message.request);
  append_digests(out, message.digests);
  return end(std::move(out));
}

ByteVector pack(const Found& message) {
  GODWIT_ASSERT(message.holders.size() <= 255 && message.of.size() <= kDigestsLimit);
  auto out = begin(Type::found);
  append_be32(out, message.request);
  out.push_back(static_cast<std::byte>(message.holders.size()));
  for (const auto& each : message.holders) append_text(out, each);
  append_be16(out, static_cast<std::uint16_t>(message.of.size()));
  for (const auto each : message.of) out.push_back(static_cast<std::byte>(each));
  return end(std::move(out));
}

ByteVector pack(const Fetch& message) {
  GODWIT_ASSERT(message.digests.size() <= kFetchLimit && message.tenant.size() <= kTenantLimit_bytes);
  auto out = begin(Type::fetch);
  append_be32(out, message.request);
  append_text(out, message.tenant);
  append(out, message.proof);
  append_digests(out, message.digests);
  return end(std::move(out));
}

ByteVector pack(const Pages& message) {
  GODWIT_ASSERT(message.held.size() <= kFetchLimit);
  auto out = begin(Type::pages);
  out.reserve(16 + message.held.size() + message.content.size());
  append_be32(out, message.request);
  out.push_back(static_cast<std::byte>(message.outcome));
  append_be16(out, static_cast<std::uint16_t>(message.held.size()));
  for (const bool each : message.held) out.push_back(each ? std::byte{1} : std::byte{0});
  append(out, message.content);
  return end(std::move(out));
}

ByteVector pack(const TellAlike& message) {
  auto out = begin(Type::tell_alike);
  append_tags(out, message.tags);
  return end(std::move(out));
}

ByteVector pack(const Seek& message) {
  auto out = begin(Type::seek);
  append_be32(out, message.request);
  append_tags(out, message.tags);
  return end(std::move(out));
}

ByteVector pack(const FetchAlike& message) {
  GODWIT_ASSERT(message.sketches.size() <= kFetchLimit && message.tenant.size() <= kTenantLimit_bytes);
  auto out = begin(Type::fetch_alike);
  append_be32(out, message.request);
  append_text(out, message.tenant);
  append(out, message.proof);
  append_sketches(out, message.sketches);
  return end(std::move(out));
}

std::optional<Type> type_of(ByteView frame) {
  if (frame.empty()) return std::nullopt;
  const auto type = static_cast<Type>(frame[0]);
  if (type < Type::hello || type > Type::fetch_alike) return std::nullopt;
  return type;
}

std::uint32_t least_version(ByteView packed) {
  const auto type = type_of(packed.subspan(4));
  return type && *type >= Type::tell_alike ? 2 : 1;
}

Result<Hello> parse_hello(ByteView frame) {
  auto reader = open(frame, Type::hello);
  if (reader.u32() != kMagic) return bad("hello");
  const auto version = reader.u32();
  if (reader.ok() && !is_spoken(version)) return other_version(version);
  Hello message{reader.u64(), version};
  if (!reader.whole() || message.incarnation == 0) return bad("hello");
  return message;
}

Result<Welcome> parse_welcome(ByteView frame) {
  auto reader = open(frame, Type::welcome);
  Welcome message;
  message.version = reader.u32();
  if (reader.ok() && !is_spoken(message.version)) return other_version(message.version);
  message.incarnation = reader.u64();
  reader.into(message.nonce);
  if (!reader.whole() || message.incarnation == 0) return bad("welcome");
  return message;
}

Result<Tell> parse_tell(ByteView frame) {
  auto reader = open(frame, Type::tell);
  Tell message{reader.digests(kDigestsLimit)};
  if (!reader.whole()) return bad("tell");
  return message;
}

Result<Withdraw> parse_withdraw(ByteView frame) {
  auto reader = open(frame, Type::withdraw);
  Withdraw message{reader.digests(kDigestsLimit)};
  if (!reader.whole()) return bad("withdraw");
  return message;
}

Result<Lookup> parse_lookup(ByteView frame) {
  auto reader = open(frame, Type::lookup);
  Lookup message;
  message.request = reader.u32();
  message.digests = reader.digests(kDigestsLimit);
  if (!reader.whole()) return bad("lookup");
  return message;
}

Result<Found> parse_found(ByteView frame) {
  auto reader = open(frame, Type::found);
  Found message;
  message.request = reader.u32();
  const std::size_t holders = reader.u8();
  for (std::size_t i = 0; i < holders && reader.ok(); ++i) message.holders.push_back(reader.text());
  const std::size_t count = reader.u16();
  if (count > kDigestsLimit) reader.refuse();
  for (const auto each : reader.take(count)) {
    message.of.push_back(static_cast<std::uint8_t>(each));
    if (message.of.back() > holders) reader.refuse();
  }
  if (!reader.whole()) return bad("found");
  return message;
}

Result<Fetch> parse_fetch(ByteView frame) {
  auto reader = open(frame, Type::fetch);
  Fetch message;
  message.request = reader.u32();
  message.tenant = reader.text();
  reader.into(message.proof);
  message.digests = reader.digests(kFetchLimit);
  if (!reader.whole() || message.tenant.empty() || message.tenant.size() > kTenantLimit_bytes) return bad("fetch");
  return message;
}

Result<Pages> parse_pages(ByteView frame) {
  auto reader = open(frame, Type::pages);
  Pages message;
  message.request = reader.u32();
  message.outcome = static_cast<Outcome>(reader.u8());
  if (message.outcome < Outcome::served || message.outcome > Outcome::denied) return bad("pages");
  const std::size_t count = reader.u16();
  if (count > kFetchLimit) return bad("pages");
  std::size_t held = 0;
  for (const auto each : reader.take(count)) {
    if (each > std::byte{1}) reader.refuse();
    message.held.push_back(each == std::byte{1});
    held += message.held.back() ? 1 : 0;
  }
  const auto content = reader.take(held * kPage_bytes);
  if (!reader.whole()) return bad("pages");
  message.content.assign(content.begin(), content.end());
  return message;
}

Result<TellAlike> parse_tell_alike(ByteView frame) {
  auto reader = open(frame, Type::tell_alike);
  TellAlike message{reader.tags()};
  if (!reader.whole()) return bad("tell alike");
  return message;
}

Result<Seek> parse_seek(ByteView frame) {
  auto reader = open(frame, Type::seek);
  Seek message;
  message.request = reader.u32();
  message.tags = reader.tags();
  if (!reader.whole()) return bad("seek");
  return message;
}

Result<FetchAlike> parse_fetch_alike(ByteView frame) {
  auto reader = open(frame, Type::fetch_alike);
  FetchAlike message;
  message.request = reader.u32();
  message.tenant = reader.text();
  reader.into(message.proof);
  message.sketches = reader.sketches(kFetchLimit);
  if (!reader.whole() || message.tenant.empty() || message.tenant.size() > kTenantLimit_bytes) {
    return bad("fetch alike");
  }
  return message;
}

sys::Task<Result<ByteVector>> read_frame(sys::Stream& stream, std::size_t limit_bytes) {
  std::array<std::byte, 4> head;
  auto read = co_await sys::read_exactly(stream, head);
  if (!read) co_return pass(read);
  const std::size_t size = load_be32(head);
  if (size == 0 || size > limit_bytes) {
    co_return fail(Errc::protocol, "directory: a frame of {} bytes where 1 to {} are allowed", size, limit_bytes);
  }
  ByteVector frame(size);
  read = co_await sys::read_exactly(stream, frame);
  if (!read) co_return pass(read);
  co_return frame;
}

}  // namespace godwit::siblings
