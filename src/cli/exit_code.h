// What a command's exit code says. docs/ops/cli.md has the same list.
#pragma once

#include "base/result.h"

namespace godwit::cli {

enum ExitCode : int {
  kDone = 0,
  kFailed = 1,       // what went wrong is none of the others
  kUsage = 2,        // the command line makes no sense, or what it asks for does not
  kUnreachable = 3,  // sky, or the cloud that is needed, can't be reached
  kNotFound = 4,
  kConflict = 5,   // the state of things does not allow it now
  kDenied = 6,     // token, certificate or permission
  kExhausted = 7,  // a quota or capacity is full
  kTimedOut = 8,   // of --timeout, among others
  kInDoubt = 9,    // nobody reachable knows who owns the instance
  kInterrupted = 130,
};

[[nodiscard]] constexpr ExitCode exit_code_of(Errc code) {
  switch (code) {
    case Errc::invalid_argument: return kUsage;
    case Errc::unavailable:
    case Errc::closed: return kUnreachable;
    case Errc::not_found: return kNotFound;
    case Errc::conflict: return kConflict;
    case Errc::denied:
    case Errc::not_authentic: return kDenied;
    case Errc::exhausted: return kExhausted;
    case Errc::timed_out: return kTimedOut;
    case Errc::in_doubt: return kInDoubt;
    case Errc::cancelled:
    case Errc::protocol:
    case Errc::unsupported:
    case Errc::io:
    case Errc::internal: return kFailed;
  }
  return kFailed;
}

}  // namespace godwit::cli
