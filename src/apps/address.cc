#include "apps/address.h"

#include <charconv>

namespace godwit::apps {

Result<Address> parse_address(std::string_view option, std::string_view text) {
  Address out;
  const auto colon = text.rfind(':');
  if (colon != text.npos && colon > 0) {
    out.host = text.substr(0, colon);
    if (out.host.starts_with('[') && out.host.ends_with(']')) out.host = out.host.substr(1, out.host.size() - 2);
    const auto* const end = text.data() + text.size();
    const auto [read, error] = std::from_chars(text.data() + colon + 1, end, out.port);
    if (error == std::errc{} && read == end) return out;
  }
  return fail(Errc::invalid_argument, "{} {}: must be IP:PORT (an IPv6 address in brackets)", option, text);
}

}  // namespace godwit::apps
