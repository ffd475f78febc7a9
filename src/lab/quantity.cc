#include "lab/quantity.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

namespace godwit::lab {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};
constexpr std::array kRates{Unit{"gbit", 1e9}, Unit{"mbit", 1e6}, Unit{"kbit", 1e3}, Unit{"bit", 1}};
constexpr std::array kSpans{Unit{"us", 1e3}, Unit{"ms", 1e6}, Unit{"s", 1e9}};
constexpr double kMostBitsPerSecond = 100e9;
constexpr double kLongestSpanNs = 10e9;

// A number, then exactly one of the units; nothing else.
template <std::size_t N>
std::optional<double> parse_with_unit(std::string_view text, const std::array<Unit, N>& units) {
  double number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (parsed.ec != std::errc{} || !std::isfinite(number) || number < 0) return std::nullopt;
  const std::string_view unit(parsed.ptr, text.data() + text.size());
  for (const Unit& each : units) {
    if (each.name == unit) return number * each.factor;
  }
  return std::nullopt;
}

// In the largest unit of which it is one or more, else in the smallest; exact, so that it reads back as it was.
template <std::size_t N>
std::string format_with_unit(double value, const std::array<Unit, N>& units) {
  const auto larger = [&](const Unit& a, const Unit& b) {
    const bool a_fits = value >= a.factor;
    const bool b_fits = value >= b.factor;
    return a_fits == b_fits ? (a_fits ? a.factor > b.factor : a.factor < b.factor) : a_fits;
  };
  const Unit& best = *std::min_element(units.begin(), units.end(), larger);
  return fmt::format("{}{}", value / best.factor, best.name);
}

}  // namespace

Result<std::uint64_t> parse_rate(std::string_view text) {
  if (text == "unlimited") return std::uint64_t{0};
  const auto value = parse_with_unit(text, kRates);
  if (!value || *value < 1000 || *value > kMostBitsPerSecond) {
    return fail(Errc::invalid_argument, R"("{}" is no rate: write "100mbit" (1kbit to 100gbit), or "unlimited")", text);
  }
  return static_cast<std::uint64_t>(std::llround(*value));
}

std::string format_rate(std::uint64_t bits_per_s) {
  return bits_per_s == 0 ? "unlimited" : format_with_unit(static_cast<double>(bits_per_s), kRates);
}

Result<Nanos> parse_span(std::string_view text) {
  const auto value = parse_with_unit(text, kSpans);
  if (!value || *value > kLongestSpanNs) {
    return fail(Errc::invalid_argument, R"("{}" is no span of time: write "40ms" (0ms to 10s; units us, ms, s))", text);
  }
  return Nanos{std::llround(*value)};
}

std::string format_span(Nanos span) {
  if (span == Nanos{0}) return "0ms";
  return format_with_unit(static_cast<double>(span.count()), kSpans);
}

Result<std::uint32_t> parse_loss(std::string_view text) {
  constexpr std::array kPercent{Unit{"%", 1e4}};
  const auto value = parse_with_unit(text, kPercent);
  if (!value || *value > 1e6) {
    return fail(Errc::invalid_argument, R"("{}" is no loss: write "0.5%" (0% to 100%))", text);
  }
  return static_cast<std::uint32_t>(std::lround(*value));
}

std::string format_loss(std::uint32_t parts_per_million) {
  return fmt::format("{}%", static_cast<double>(parts_per_million) / 1e4);
}

Result<Ipv4Prefix> parse_prefix(std::string_view text) {
  const auto wrong = [text] {
    return fail(Errc::invalid_argument, R"("{}" is no IPv4 network: write "10.101.0.0/24")", text);
  };
  Ipv4Prefix prefix;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  for (int i = 0; i < 4; ++i) {
    if (i > 0 && (at == end || *at++ != '.')) return wrong();
    std::uint8_t part = 0;
    const auto parsed = std::from_chars(at, end, part);
    if (parsed.ec != std::errc{}) return wrong();
    prefix.address = (prefix.address << 8U) | part;
    at = parsed.ptr;
  }
  if (at == end) return prefix;
  const auto parsed = std::from_chars(at + 1, end, prefix.length);
  if (*at != '/' || parsed.ec != std::errc{} || parsed.ptr != end || prefix.length > 32) return wrong();
  const std::uint64_t host_bits = (std::uint64_t{1} << (32U - prefix.length)) - 1;
  if ((prefix.address & host_bits) != 0) {
    return fail(Errc::invalid_argument, R"("{}" is no network: bits are set after the first {})", text, prefix.length);
  }
  return prefix;
}

std::string format_address(std::uint32_t address) {
  return fmt::format("{}.{}.{}.{}", address >> 24U, (address >> 16U) & 255U, (address >> 8U) & 255U, address & 255U);
}

std::string format_prefix(Ipv4Prefix prefix) {
  return prefix.length == 32 ? format_address(prefix.address)
                             : fmt::format("{}/{}", format_address(prefix.address), prefix.length);
}

}  // namespace godwit::lab
