// lab/command.h: `godwit lab …` for people and programs.
#pragma once

#include "lab/processes.h"

namespace CLI {
class App;
}

namespace godwit::lab {

// Adds up, status, exec, run, down, cut, heal, rate, delay and loss to `app`. The one that is called sets `exit_code`:
// 0 done, 1 an error that stderr explains; for exec, that of its command. `planner` says what `up` runs without --bare.
void add_commands(CLI::App& app, ProcessPlanner planner, int& exit_code);

}  // namespace godwit::lab
