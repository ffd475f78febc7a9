// What `instance migrate` and `cluster migrate` share: the options of a move, and waiting for its end.
#pragma once

#include "cli/session.h"

#include <string>

namespace CLI {
class App;
}

namespace godwit::cli {

struct MoveOptions {
  wire::MoveRequest request;
  bool no_auto_converge{false};
  double max_mbit_per_s{0};
  bool no_wait{false};
};

void add_move_options(CLI::App& verb, MoveOptions& options);

// Asks at `path`, then shows the migrations until they have ended, unless --no-wait. Errors: cancelled where one
// failed, in_doubt where one is that; both name the members.
[[nodiscard]] sys::Task<Result<>> move(Session& session, SkyClient sky, std::string path, MoveOptions options);

// Shows these until they have ended, then says how; the same errors.
[[nodiscard]] sys::Task<Result<>> await_migrations(Session& session, SkyClient sky, wire::MigrationList list);

}  // namespace godwit::cli
