#include "sys/http.h"

#include <charconv>

namespace godwit::sys {

Result<HttpEndpoint> parse_endpoint(std::string_view url, std::string_view name) {
  HttpEndpoint endpoint;
  endpoint.name = name;
  std::string_view rest = url;
  if (rest.starts_with("https://")) {
    endpoint.tls = HttpTls::server;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    endpoint.tls = HttpTls::none;
    rest.remove_prefix(7);
  } else {
    return fail(Errc::invalid_argument, "URL \"{}\": must start with https:// or http://", url);
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  const auto colon = rest.rfind(':');
  if (colon == std::string_view::npos || colon == 0) {
    return fail(Errc::invalid_argument, "URL \"{}\": must be scheme://address:port", url);
  }
  auto host = rest.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto digits = rest.substr(colon + 1);
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), endpoint.port);
  if (parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size() || endpoint.port == 0) {
    return fail(Errc::invalid_argument, "URL \"{}\": \"{}\" is no port (1 to 65535)", url, digits);
  }
  endpoint.host = host;
  return endpoint;
}

std::string to_url(const HttpEndpoint& endpoint) {
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", endpoint.tls == HttpTls::none ? "http" : "https", v6 ? "[" : "", endpoint.host,
                     v6 ? "]" : "", endpoint.port);
}

}  // namespace godwit::sys
