// Expected failures as values: Result<T> is a T or an Error that a person can act on.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace godwit {

// The kinds of failure that a caller may want to tell apart; the message is for people.
enum class Errc : std::uint8_t {
  invalid_argument = 1,  // what was asked makes no sense: the caller must change it
  not_found,
  conflict,       // the state of the object does not allow it now
  denied,         // authenticated, but not allowed
  not_authentic,  // identity, signature or digest does not hold
  exhausted,      // a quota, capacity or other limit is full
  unavailable,    // the other side can't be reached; trying again may help
  timed_out,
  cancelled,
  closed,       // the other side closed the stream, in order
  protocol,     // the other side sent what it must not
  unsupported,  // this build, host or peer can't do it
  in_doubt,     // nobody reachable knows who owns the instance
  io,           // the operating system refused
  internal,
};

[[nodiscard]] std::string_view to_string(Errc code);
// Errc::internal when `name` is no name of a code.
[[nodiscard]] Errc errc_from_string(std::string_view name);

// A value. `message` says operation, object, cause and, where a person can do something, the remedy.
struct Error {
  Errc code{Errc::internal};
  std::string message;

  // The same failure as seen by the caller: "context: message".
  [[nodiscard]] Error within(std::string_view context) const&;
};

template <class T = void>
using Result = std::expected<T, Error>;

template <class... Args>
[[nodiscard]] std::unexpected<Error> fail(Errc code, fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

// Passes on the error of `result`, with the operation that it ended.
template <class T>
[[nodiscard]] std::unexpected<Error> fail(const Result<T>& result, std::string_view context) {
  return std::unexpected(result.error().within(context));
}
template <class T>
[[nodiscard]] std::unexpected<Error> pass(const Result<T>& result) {
  return std::unexpected(result.error());
}

// "open /x: EACCES Permission denied": an errno, as the message of an Errc::io error (or a nearer code).
[[nodiscard]] std::unexpected<Error> fail_errno(int error, std::string_view operation);

}  // namespace godwit
