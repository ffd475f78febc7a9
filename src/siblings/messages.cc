#include "siblings/messages.h"

#include "base/assert.h"
#include "base/byte_reader.h"
#include "base/frame_writer.h"
#include "base/page.h"
#include "sys/frames.h"

#include <algorithm>

namespace godwit::siblings {
namespace {

constexpr std::uint32_t kMagic = 0x47444952;  // "GDIR"
constexpr std::size_t kHoldersLimit = 255;
static_assert(kAnswerLimit_bytes == 16 + kFetchLimit * (1 + kPage_bytes));

bool is_spoken(std::uint32_t version) { return version >= kOldestVersion && version <= kProtocolVersion; }

// ---- fields, and elements of lists, as they stand in a frame

void put(FrameWriter& out, std::uint8_t value) { out.byte(value); }
void put(FrameWriter& out, std::uint32_t value) { out.be32(value); }
void put(FrameWriter& out, std::uint64_t value) { out.be64(value); }  // a SketchTag, too
void put(FrameWriter& out, const PageDigest& value) { out.bytes(value); }
void put(FrameWriter& out, const Sketch& value) {
  for (const auto feature : value) out.be32(feature);
}

void get(ByteReader& in, std::uint8_t& value) { value = in.byte(); }
void get(ByteReader& in, std::uint32_t& value) { value = in.be32(); }
void get(ByteReader& in, std::uint64_t& value) { value = in.be64(); }
void get(ByteReader& in, PageDigest& value) { in.into(value); }
void get(ByteReader& in, Sketch& value) {
  for (auto& feature : value) feature = in.be32();
}

// What a Format is given to write a message. Limits are those of whoever made the message.
class Writing {
 public:
  explicit Writing(Type type) { frame_.word(type); }

  void constant(std::uint32_t value) { frame_.be32(value); }
  void version(std::uint32_t value) { frame_.be32(value); }
  template <class Field>
  void field(const Field& value) {
    put(frame_, value);
  }
  void outcome(Outcome value) { frame_.word(value); }
  void text(const std::string& value, std::size_t limit_bytes) {
    GODWIT_ASSERT(value.size() <= limit_bytes);
    frame_.short_text(value);
  }
  void texts(const std::vector<std::string>& values) {
    GODWIT_ASSERT(values.size() <= kHoldersLimit);
    frame_.byte(static_cast<std::uint8_t>(values.size()));
    for (const auto& each : values) frame_.short_text(each);
  }
  template <class Element>
  void list(const std::vector<Element>& values, std::size_t limit) {
    GODWIT_ASSERT(values.size() <= limit);
    frame_.be16(static_cast<std::uint16_t>(values.size()));
    for (const auto& each : values) put(frame_, each);
  }
  void flags(const std::vector<bool>& values, std::size_t limit) {
    GODWIT_ASSERT(values.size() <= limit);
    frame_.be16(static_cast<std::uint16_t>(values.size()));
    for (const bool each : values) frame_.byte(each ? 1 : 0);
  }
  void bytes(const ByteVector& value, std::size_t) { frame_.bytes(value); }
  void must(bool) {}

  [[nodiscard]] ByteVector frame() { return frame_.take(); }

 private:
  FrameWriter frame_;
};

// What a Format is given to read one.
class Reading {
 public:
  Reading(ByteView frame, Type type) : in_(frame) { must(in_.byte() == static_cast<std::uint8_t>(type)); }

  void constant(std::uint32_t value) { must(in_.be32() == value); }
  void version(std::uint32_t& value) {
    value = in_.be32();
    if (in_.is_whole() && !is_spoken(value)) other_version_ = value;
  }
  template <class Field>
  void field(Field& value) {
    get(in_, value);
  }
  void outcome(Outcome& value) { value = in_.word(Outcome::denied); }
  void text(std::string& value, std::size_t limit_bytes) {
    value = in_.short_text();
    must(value.size() <= limit_bytes);
  }
  void texts(std::vector<std::string>& values) {
    values.resize(in_.byte());
    for (auto& each : values) each = in_.short_text();
  }
  template <class Element>
  void list(std::vector<Element>& values, std::size_t limit) {
    const std::size_t count = in_.be16();
    must(count <= limit && count * sizeof(Element) <= in_.left_bytes());
    if (!in_.is_whole()) return;
    values.resize(count);
    for (auto& each : values) get(in_, each);
  }
  void flags(std::vector<bool>& values, std::size_t limit) {
    const std::size_t count = in_.be16();
    must(count <= limit && count <= in_.left_bytes());
    for (std::size_t i = 0; i < count && in_.is_whole(); ++i) values.push_back(in_.flag());
  }
  void bytes(ByteVector& value, std::size_t size) {
    const auto taken = in_.take(size);
    value.assign(taken.begin(), taken.end());
  }
  void must(bool hold) { in_.refuse_unless(hold); }

  [[nodiscard]] bool ended_in_order() const { return in_.ended_in_order(); }
  [[nodiscard]] std::optional<std::uint32_t> other_version() const { return other_version_; }

 private:
  ByteReader in_;
  std::optional<std::uint32_t> other_version_;
};

// ---- messages: their fields in order, for Writing and Reading alike

template <class Message>
struct Format;

template <>
struct Format<Hello> {
  static constexpr Type kType = Type::hello;
  static constexpr std::string_view kName = "hello";
  static void fields(auto& io, auto& hello) {
    io.constant(kMagic);
    io.version(hello.version);
    io.field(hello.incarnation);
    io.must(hello.incarnation != 0);
  }
};

template <>
struct Format<Welcome> {
  static constexpr Type kType = Type::welcome;
  static constexpr std::string_view kName = "welcome";
  static void fields(auto& io, auto& welcome) {
    io.version(welcome.version);
    io.field(welcome.incarnation);
    io.field(welcome.nonce);
    io.must(welcome.incarnation != 0);
  }
};

template <>
struct Format<Tell> {
  static constexpr Type kType = Type::tell;
  static constexpr std::string_view kName = "tell";
  static void fields(auto& io, auto& tell) { io.list(tell.digests, kDigestsLimit); }
};

template <>
struct Format<Withdraw> {
  static constexpr Type kType = Type::withdraw;
  static constexpr std::string_view kName = "withdraw";
  static void fields(auto& io, auto& withdraw) { io.list(withdraw.digests, kDigestsLimit); }
};

template <>
struct Format<Lookup> {
  static constexpr Type kType = Type::lookup;
  static constexpr std::string_view kName = "lookup";
  static void fields(auto& io, auto& lookup) {
    io.field(lookup.request);
    io.list(lookup.digests, kDigestsLimit);
  }
};

template <>
struct Format<Found> {
  static constexpr Type kType = Type::found;
  static constexpr std::string_view kName = "found";
  static void fields(auto& io, auto& found) {
    io.field(found.request);
    io.texts(found.holders);
    io.list(found.of, kDigestsLimit);
    io.must(std::ranges::all_of(found.of, [&](std::uint8_t each) { return each <= found.holders.size(); }));
  }
};

// Of Fetch and FetchAlike: who asks, and whereby they may.
void fields_of_asker(auto& io, auto& fetch) {
  io.field(fetch.request);
  io.text(fetch.tenant, kTenantLimit_bytes);
  io.must(!fetch.tenant.empty());
  io.field(fetch.proof);
}

template <>
struct Format<Fetch> {
  static constexpr Type kType = Type::fetch;
  static constexpr std::string_view kName = "fetch";
  static void fields(auto& io, auto& fetch) {
    fields_of_asker(io, fetch);
    io.list(fetch.digests, kFetchLimit);
  }
};

template <>
struct Format<Pages> {
  static constexpr Type kType = Type::pages;
  static constexpr std::string_view kName = "pages";
  static void fields(auto& io, auto& pages) {
    io.field(pages.request);
    io.outcome(pages.outcome);
    io.flags(pages.held, kFetchLimit);
    io.bytes(pages.content, static_cast<std::size_t>(std::ranges::count(pages.held, true)) * kPage_bytes);
  }
};

template <>
struct Format<TellAlike> {
  static constexpr Type kType = Type::tell_alike;
  static constexpr std::string_view kName = "tell alike";
  static void fields(auto& io, auto& tell) { io.list(tell.tags, kTagsLimit); }
};

template <>
struct Format<Seek> {
  static constexpr Type kType = Type::seek;
  static constexpr std::string_view kName = "seek";
  static void fields(auto& io, auto& seek) {
    io.field(seek.request);
    io.list(seek.tags, kTagsLimit);
  }
};

template <>
struct Format<FetchAlike> {
  static constexpr Type kType = Type::fetch_alike;
  static constexpr std::string_view kName = "fetch alike";
  static void fields(auto& io, auto& fetch) {
    fields_of_asker(io, fetch);
    io.list(fetch.sketches, kFetchLimit);
  }
};

template <class Message>
ByteVector write(const Message& message) {
  Writing writing(Format<Message>::kType);
  Format<Message>::fields(writing, message);
  return writing.frame();
}

template <class Message>
Result<Message> read(ByteView frame) {
  Reading reading(frame, Format<Message>::kType);
  Message message;
  Format<Message>::fields(reading, message);
  if (const auto version = reading.other_version()) {
    return fail(Errc::unsupported, "directory: version {} where {} to {} are spoken: the older agent must be upgraded",
                *version, kOldestVersion, kProtocolVersion);
  }
  if (!reading.ended_in_order()) {
    return fail(Errc::protocol, "directory: a \"{}\" that is not as it must be", Format<Message>::kName);
  }
  return message;
}

}  // namespace

ByteVector pack(const Hello& message) { return write(message); }
ByteVector pack(const Welcome& message) { return write(message); }
ByteVector pack(const Tell& message) { return write(message); }
ByteVector pack(const Withdraw& message) { return write(message); }
ByteVector pack(const Lookup& message) { return write(message); }
ByteVector pack(const Found& message) { return write(message); }
ByteVector pack(const Fetch& message) { return write(message); }
ByteVector pack(const Pages& message) { return write(message); }
ByteVector pack(const TellAlike& message) { return write(message); }
ByteVector pack(const Seek& message) { return write(message); }
ByteVector pack(const FetchAlike& message) { return write(message); }

std::optional<Type> type_of(ByteView frame) {
  if (frame.empty()) return std::nullopt;
  const auto type = static_cast<Type>(frame[0]);
  if (type < Type::hello || type > Type::fetch_alike) return std::nullopt;
  return type;
}

std::uint32_t least_version(ByteView packed) {
  const auto type = type_of(packed.subspan(FrameWriter::kLength_bytes));
  return type && *type >= Type::tell_alike ? 2 : 1;
}

Result<Hello> parse_hello(ByteView frame) { return read<Hello>(frame); }
Result<Welcome> parse_welcome(ByteView frame) { return read<Welcome>(frame); }
Result<Tell> parse_tell(ByteView frame) { return read<Tell>(frame); }
Result<Withdraw> parse_withdraw(ByteView frame) { return read<Withdraw>(frame); }
Result<Lookup> parse_lookup(ByteView frame) { return read<Lookup>(frame); }
Result<Found> parse_found(ByteView frame) { return read<Found>(frame); }
Result<Fetch> parse_fetch(ByteView frame) { return read<Fetch>(frame); }
Result<Pages> parse_pages(ByteView frame) { return read<Pages>(frame); }
Result<TellAlike> parse_tell_alike(ByteView frame) { return read<TellAlike>(frame); }
Result<Seek> parse_seek(ByteView frame) { return read<Seek>(frame); }
Result<FetchAlike> parse_fetch_alike(ByteView frame) { return read<FetchAlike>(frame); }

sys::Task<Result<ByteVector>> read_frame(sys::Stream& stream, std::size_t limit_bytes) {
  return sys::read_frame(stream, limit_bytes, "directory");
}

}  // namespace godwit::siblings
