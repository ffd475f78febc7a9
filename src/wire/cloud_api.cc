#include "wire/cloud_api.h"

namespace godwit::wire {

int http_status_of(Errc code) {
  switch (code) {
    case Errc::invalid_argument:
    case Errc::protocol: return 400;
    case Errc::not_authentic: return 401;
    case Errc::denied: return 403;
    case Errc::not_found: return 404;
    case Errc::conflict:
    case Errc::in_doubt: return 409;
    case Errc::exhausted: return 429;
    case Errc::unsupported: return 422;
    case Errc::unavailable:
    case Errc::closed: return 503;
    case Errc::timed_out: return 504;
    case Errc::cancelled:
    case Errc::io:
    case Errc::internal: return 500;
  }
  return 500;
}

std::string error_body(const Error& error) {
  return encode(ApiError{{std::string(to_string(error.code)), error.message}});
}

Error error_of(int http_status, std::string_view body) {
  const auto carried = decode<ApiError>(body, 64UL * 1024);
  if (carried && !carried->error.code.empty()) {
    return Error{errc_from_string(carried->error.code), carried->error.message};
  }
  return Error{Errc::protocol, fmt::format("HTTP status {} without a reason", http_status)};
}

}  // namespace godwit::wire
