#include "crypto/host_record.h"

#include "base/id.h"
#include "crypto/digest.h"
#include "crypto/statement_kind.h"

#include <algorithm>

namespace godwit::crypto {
namespace {

bool is_key(const HostKey& key) {
  return std::ranges::any_of(key, [](std::byte each) { return each != std::byte{0}; });
}

bool is_profile(SessionProfile profile) {
  return profile == SessionProfile::native || profile == SessionProfile::wireguard;
}

struct Host {
  using Said = HostRecord;
  static constexpr auto kKind = StatementKind::host;
  static constexpr std::string_view kName = "host record";

  static Result<> check(const Said& record) {
    const auto bad = [](std::string_view rule) { return fail(Errc::invalid_argument, "{}", rule); };
    if (!is_label(record.cloud) || !is_label(record.host)) return bad("cloud and host must be DNS labels");
    if (!is_key(record.key)) return bad("has no key");
    if (!is_profile(record.profile)) return bad("profile must be 1 or 2");
    return {};
  }
  static void write(const Said& record, ByteVector& out) {
    out.push_back(static_cast<std::byte>(record.profile));
    append(out, record.key);
    append_short_text(out, record.cloud);
    append_short_text(out, record.host);
  }
  static void read(ByteReader& from, Said& out) {
    out.profile = static_cast<SessionProfile>(from.byte());
    const auto key = from.take(out.key.size());
    std::copy(key.begin(), key.end(), out.key.begin());
    out.cloud = from.short_text();
    out.host = from.short_text();
  }
  static const std::string& by(const Said& record) { return record.cloud; }
  static std::string about(const Said& record) { return fmt::format("of {}.{}", record.host, record.cloud); }
};

}  // namespace

std::array<std::byte, 16> host_address(const HostKey& key) {
  constexpr std::array<unsigned char, 6> kPrefix{0xfd, 'g', 'o', 'd', 'w', 'i'};
  std::array<std::byte, 16> out{};
  std::ranges::transform(kPrefix, out.begin(), [](unsigned char each) { return std::byte{each}; });
  const auto digest = sha256(key);
  std::copy_n(digest.begin(), out.size() - kPrefix.size(), out.begin() + kPrefix.size());
  return out;
}

std::string host_address_text(const HostKey& key) {
  const auto address = host_address(key);
  std::string out;
  for (std::size_t i = 0; i < address.size(); i += 2) {
    out += fmt::format("{}{:x}", i == 0 ? "" : ":", load_be16(ByteView(address).subspan(i)));
  }
  return out;
}

std::string host_address_of(std::string_view record) {
  const auto bytes = statement_from_text(record);
  const auto read = bytes ? read_host_record(*bytes) : pass(bytes);
  return read ? host_address_text(read->key) : std::string();
}

Result<HostKey> host_key_from_hex(std::string_view text) {
  HostKey key{};
  const auto bytes = from_hex(text);
  if (!bytes || bytes->size() != key.size()) return fail(Errc::invalid_argument, "overlay key: must be 64 hex digits");
  std::copy(bytes->begin(), bytes->end(), key.begin());
  if (!is_key(key)) return fail(Errc::invalid_argument, "overlay key: must not be 0");
  return key;
}

Result<ByteVector> encode_host_record(const HostRecord& record) { return encode_as<Host>(record); }
Result<ByteVector> sign_host_record(const HostRecord& record, const Key& authority) {
  return sign_as<Host>(record, authority);
}
Result<HostRecord> read_host_record(ByteView record) { return read_as<Host>(record); }
Result<HostRecord> open_host_record(ByteView record, const Authority& authority, WallTime now) {
  return open_as<Host>(record, authority, now);
}

}  // namespace godwit::crypto
