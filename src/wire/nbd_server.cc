#include "wire/nbd_server.h"

#include "base/byte_reader.h"

#include <algorithm>

namespace godwit::wire {
namespace {

constexpr std::uint32_t kRequestMagic = 0x25609513;
constexpr std::uint32_t kReplyMagic = 0x67446698;
constexpr std::uint64_t kOptionMagic = 0x49484156'454f5054ULL;  // "IHAVEOPT"
constexpr std::uint64_t kOptionReplyMagic = 0x3e889045565a9ULL;
constexpr std::string_view kGreeting = "NBDMAGICIHAVEOPT";
constexpr std::uint16_t kFixedNewstyle = 1;
constexpr std::uint16_t kNoZeroes = 2;
constexpr std::size_t kOption_bytes = 16;   // u64 magic, u32 option, u32 length of the data
constexpr std::size_t kRequest_bytes = 28;  // u32 magic, u16 flags, u16 type, u64 cookie, u64 offset, u32 length
constexpr std::size_t kZeroes_bytes = 124;

constexpr std::uint32_t kOptExportName = 1;
constexpr std::uint32_t kOptAbort = 2;
constexpr std::uint32_t kOptList = 3;
constexpr std::uint32_t kOptInfo = 6;
constexpr std::uint32_t kOptGo = 7;
constexpr std::uint32_t kRepAck = 1;
constexpr std::uint32_t kRepServer = 2;
constexpr std::uint32_t kRepInfo = 3;
constexpr std::uint32_t kRepUnsupported = 1U << 31U | 1U;
constexpr std::uint32_t kRepInvalid = 1U << 31U | 3U;
constexpr std::uint32_t kRepUnknown = 1U << 31U | 6U;
constexpr std::uint32_t kRepTooBig = 1U << 31U | 9U;
constexpr std::uint16_t kInfoExport = 0;
constexpr std::uint16_t kInfoBlockSize = 3;
constexpr std::uint32_t kPreferred_bytes = 64U << 10U;
// There are flags; only to be read; any connection may be asked for anything.
constexpr std::uint16_t kExportFlags = 1U << 0U | 1U << 1U | 1U << 8U;

constexpr std::uint16_t kRead = 0;
constexpr std::uint16_t kWrite = 1;
constexpr std::uint16_t kDisconnect = 2;
constexpr std::uint16_t kFlush = 3;
constexpr std::uint16_t kTrim = 4;
constexpr std::uint16_t kWriteZeroes = 6;
constexpr std::uint16_t kForcedUnitAccess = 1;
constexpr std::uint32_t kErrorPermission = 1;
constexpr std::uint32_t kErrorInvalid = 22;

}  // namespace

void store_nbd_reply(ByteSpan head, std::uint64_t cookie, std::uint32_t error) {
  store_be32(head, kReplyMagic);
  store_be32(head.subspan(4), error);
  store_be64(head.subspan(8), cookie);
}

NbdServer::NbdServer(std::string name, std::uint64_t size_bytes) : name_(std::move(name)), size_bytes_(size_bytes) {
  append(answers_, as_bytes(kGreeting));
  append_be16(answers_, kFixedNewstyle | kNoZeroes);
}

bool NbdServer::fill(ByteView& bytes, std::size_t size) {
  const auto taken = std::min(size - field_.size(), bytes.size());
  append(field_, bytes.first(taken));
  bytes = bytes.subspan(taken);
  return field_.size() == size;
}

Result<std::optional<NbdRead>> NbdServer::next(ByteView& bytes) {
  while (!bytes.empty()) {
    Result<> done;
    if (state_ == State::request) {
      if (!fill(bytes, kRequest_bytes)) break;
      auto read = take_request();
      field_.clear();
      if (!read || *read) return read;
    } else if (state_ == State::skip) {
      const auto taken = std::min<std::uint64_t>(left_bytes_, bytes.size());
      bytes = bytes.subspan(taken);
      left_bytes_ -= taken;
      if (left_bytes_ == 0) state_ = State::request;
    } else if (state_ == State::flags) {
      if (fill(bytes, 4)) done = take_flags();
    } else if (state_ == State::option) {
      if (fill(bytes, kOption_bytes)) done = take_option();
    } else {
      done = take_data(bytes);
    }
    if (!done) return pass(done);
  }
  return std::nullopt;
}

// ---- options

Result<> NbdServer::take_flags() {
  const auto flags = load_be32(field_);
  field_.clear();
  if ((flags & ~std::uint32_t{kFixedNewstyle | kNoZeroes}) != 0) {
    return fail(Errc::protocol, "nbd: the client wants what nobody knows ({:#x})", flags);
  }
  no_zeroes_ = (flags & kNoZeroes) != 0;
  state_ = State::option;
  return {};
}

Result<> NbdServer::take_option() {
  const auto magic = load_be64(field_);
  option_ = load_be32(ByteView(field_).subspan(8));
  left_bytes_ = load_be32(ByteView(field_).subspan(12));
  field_.clear();
  if (magic != kOptionMagic) return fail(Errc::protocol, "nbd: no option where one must be");
  if (++options_ > kNbdOptions) return fail(Errc::protocol, "nbd: more than {} options", kNbdOptions);
  if (left_bytes_ > 0) {
    state_ = State::data;
    return {};
  }
  return answer_option({});
}

// Of data that is too long for anything that is understood, only the length is.
Result<> NbdServer::take_data(ByteView& bytes) {
  const auto taken = std::min<std::uint64_t>(left_bytes_, bytes.size());
  const auto kept = std::min<std::size_t>(taken, kNbdOption_bytes + 1 - field_.size());
  append(field_, bytes.first(kept));
  bytes = bytes.subspan(taken);
  left_bytes_ -= taken;
  if (left_bytes_ > 0) return {};
  state_ = State::option;
  const auto data = std::exchange(field_, {});
  if (data.size() > kNbdOption_bytes && option_ != kOptExportName) {
    reply(kRepTooBig, {});
    return {};
  }
  return answer_option(data);
}

Result<> NbdServer::answer_option(ByteView data) {
  switch (option_) {
    case kOptExportName: return begin_by_name(data);
    case kOptAbort: reply(kRepAck, {}); return fail(Errc::closed, "nbd: the client wants nothing");
    case kOptInfo:
    case kOptGo: return answer_go(data);
    case kOptList: {
      ByteVector server;
      append_be32(server, static_cast<std::uint32_t>(name_.size()));
      append(server, as_bytes(name_));
      if (data.empty()) reply(kRepServer, server);
      reply(data.empty() ? kRepAck : kRepInvalid, {});
      return {};
    }
    default: reply(kRepUnsupported, {}); return {};
  }
}

bool NbdServer::is_ours(ByteView name) const { return name.empty() || as_text(name) == name_; }

Result<> NbdServer::begin_by_name(ByteView name) {
  if (!is_ours(name)) return fail(Errc::protocol, "nbd: the client asks for another export");
  say_export();
  if (!no_zeroes_) answers_.resize(answers_.size() + kZeroes_bytes);
  state_ = State::request;
  return {};
}

// u32 length of the name, the name, u16 count, u16 of each information that is wanted: all get the same.
Result<> NbdServer::answer_go(ByteView data) {
  ByteReader reader(data);
  const auto name = reader.take(reader.be32());
  (void)reader.take(std::size_t{reader.be16()} * 2);
  if (!reader.ended_in_order() || !is_ours(name)) {
    reply(reader.ended_in_order() ? kRepUnknown : kRepInvalid, {});
    return {};
  }
  ByteVector information;
  append_be16(information, kInfoExport);
  append_be64(information, size_bytes_);
  append_be16(information, kExportFlags);
  reply(kRepInfo, information);
  information.clear();
  append_be16(information, kInfoBlockSize);
  append_be32(information, 1);
  append_be32(information, kPreferred_bytes);
  append_be32(information, kNbdRead_bytes);
  reply(kRepInfo, information);
  reply(kRepAck, {});
  if (option_ == kOptGo) state_ = State::request;
  return {};
}

void NbdServer::say_export() {
  append_be64(answers_, size_bytes_);
  append_be16(answers_, kExportFlags);
}

void NbdServer::reply(std::uint32_t type, ByteView data) {
  append_be64(answers_, kOptionReplyMagic);
  append_be32(answers_, option_);
  append_be32(answers_, type);
  append_be32(answers_, static_cast<std::uint32_t>(data.size()));
  append(answers_, data);
}

// ---- requests

Result<std::optional<NbdRead>> NbdServer::take_request() {
  const ByteView field = field_;
  if (load_be32(field) != kRequestMagic) return fail(Errc::protocol, "nbd: no request where one must be");
  const auto flags = load_be16(field.subspan(4));
  const auto type = load_be16(field.subspan(6));
  const NbdRead read{load_be64(field.subspan(8)), load_be64(field.subspan(16)), load_be32(field.subspan(24))};
  if (type == kDisconnect) return fail(Errc::closed, "nbd: the client is done");
  const bool on_disk = read.offset <= size_bytes_ && read.length <= size_bytes_ - read.offset;
  const bool is_fair = on_disk && read.length > 0 && read.length <= kNbdRead_bytes;
  if (type == kRead && is_fair && (flags & ~kForcedUnitAccess) == 0) return read;
  if (type == kWrite && read.length > 0) {
    left_bytes_ = read.length;
    state_ = State::skip;
  }
  const bool would_change = type == kWrite || type == kTrim || type == kWriteZeroes;
  const auto error = type == kFlush ? 0 : would_change ? kErrorPermission : kErrorInvalid;
  answers_.resize(answers_.size() + kNbdReply_bytes);
  store_nbd_reply(ByteSpan(answers_).last(kNbdReply_bytes), read.cookie, error);
  return std::nullopt;
}

}  // namespace godwit::wire
