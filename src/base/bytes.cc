#include "base/bytes.h"

#include "base/assert.h"

namespace godwit {
namespace {

template <class T>
T load(ByteView bytes) {
  GODWIT_ASSERT(bytes.size() >= sizeof(T));
  T value{};
  for (std::size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>((value << 8U) | std::to_integer<T>(bytes[i]));
  return value;
}

template <class T>
void store(ByteSpan bytes, T value) {
  GODWIT_ASSERT(bytes.size() >= sizeof(T));
  for (std::size_t i = sizeof(T); i-- > 0;) {
    bytes[i] = static_cast<std::byte>(value & 0xFFU);
    value = static_cast<T>(value >> 8U);
  }
}

template <class T>
void append_be(ByteVector& out, T value) {
  out.resize(out.size() + sizeof(T));
  store<T>(ByteSpan(out).last(sizeof(T)), value);
}

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

// A one-byte shift of a 16-bit value promotes to int, which load's cast undoes; the three sizes are all there is.
std::uint16_t load_be16(ByteView bytes) { return load<std::uint16_t>(bytes); }
std::uint32_t load_be32(ByteView bytes) { return load<std::uint32_t>(bytes); }
std::uint64_t load_be64(ByteView bytes) { return load<std::uint64_t>(bytes); }
void store_be16(ByteSpan bytes, std::uint16_t value) { store(bytes, value); }
void store_be32(ByteSpan bytes, std::uint32_t value) { store(bytes, value); }
void store_be64(ByteSpan bytes, std::uint64_t value) { store(bytes, value); }
void append_be16(ByteVector& out, std::uint16_t value) { append_be(out, value); }
void append_be32(ByteVector& out, std::uint32_t value) { append_be(out, value); }
void append_be64(ByteVector& out, std::uint64_t value) { append_be(out, value); }
void append(ByteVector& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

std::string to_hex(ByteView bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (std::byte byte : bytes) {
    const auto value = std::to_integer<unsigned>(byte);
    out += kHex[value >> 4U];
    out += kHex[value & 15U];
  }
  return out;
}

Result<ByteVector> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return fail(Errc::invalid_argument, "hex text has an odd length ({})", text.size());
  ByteVector out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_digit(text[i]);
    const int low = hex_digit(text[i + 1]);
    if (high < 0 || low < 0) return fail(Errc::invalid_argument, "hex text has another character at offset {}", i);
    out.push_back(static_cast<std::byte>(high * 16 + low));
  }
  return out;
}

std::string to_base64url(ByteView bytes) {
  std::string out;
  std::uint32_t bits = 0;
  int held = 0;
  for (std::byte byte : bytes) {
    bits = (bits << 8U) | std::to_integer<std::uint32_t>(byte);
    held += 8;
    while (held >= 6) {
      held -= 6;
      out += kBase64[(bits >> held) & 63U];
    }
  }
  if (held > 0) out += kBase64[(bits << (6 - held)) & 63U];
  return out;
}

Result<ByteVector> from_base64url(std::string_view text) {
  ByteVector out;
  std::uint32_t bits = 0;
  int held = 0;
  for (char c : text) {
    const auto value = kBase64.find(c);
    if (value == std::string_view::npos) return fail(Errc::invalid_argument, "base64url text has another character");
    bits = (bits << 6U) | static_cast<std::uint32_t>(value);
    held += 6;
    if (held >= 8) {
      held -= 8;
      out.push_back(static_cast<std::byte>((bits >> held) & 0xFFU));
    }
  }
  if (held >= 6) return fail(Errc::invalid_argument, "base64url text is cut");
  return out;
}

}  // namespace godwit
