#include "base/result.h"

#include <array>
#include <cerrno>
#include <cstring>

namespace godwit {
namespace {

struct Name {
  Errc code;
  std::string_view name;
};
constexpr std::array kNames{
    Name{Errc::invalid_argument, "invalid_argument"},
    Name{Errc::not_found, "not_found"},
    Name{Errc::conflict, "conflict"},
    Name{Errc::denied, "denied"},
    Name{Errc::not_authentic, "not_authentic"},
    Name{Errc::exhausted, "exhausted"},
    Name{Errc::unavailable, "unavailable"},
    Name{Errc::timed_out, "timed_out"},
    Name{Errc::cancelled, "cancelled"},
    Name{Errc::closed, "closed"},
    Name{Errc::protocol, "protocol"},
    Name{Errc::unsupported, "unsupported"},
    Name{Errc::in_doubt, "in_doubt"},
    Name{Errc::io, "io"},
    Name{Errc::internal, "internal"},
};

Errc code_of(int error) {
  switch (error) {
    case ENOENT: return Errc::not_found;
    case EEXIST:
    case EBUSY: return Errc::conflict;
    case EINVAL: return Errc::invalid_argument;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENOMEM: return Errc::exhausted;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH: return Errc::unavailable;
    case ETIMEDOUT: return Errc::timed_out;
    case ECANCELED: return Errc::cancelled;
    case EPIPE:
    case ECONNRESET: return Errc::closed;
    case ENOSYS:
    case EOPNOTSUPP: return Errc::unsupported;
    default: return Errc::io;
  }
}

}  // namespace

std::string_view to_string(Errc code) {
  for (const Name& each : kNames) {
    if (each.code == code) return each.name;
  }
  return "internal";
}

Errc errc_from_string(std::string_view name) {
  for (const Name& each : kNames) {
    if (each.name == name) return each.code;
  }
  return Errc::internal;
}

Error Error::within(std::string_view context) const& { return Error{code, fmt::format("{}: {}", context, message)}; }

std::unexpected<Error> fail_errno(int error, std::string_view operation) {
  const char* name = strerrorname_np(error);
  return fail(code_of(error), "{}: {} ({})", operation,
              strerrordesc_np(error) ? strerrordesc_np(error) : "unknown error",
              name ? name : "errno " + std::to_string(error));
}

}  // namespace godwit
