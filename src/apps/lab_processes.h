// Which processes of Godwit a lab runs, and how each comes up: the same steps that an operator takes on real hosts, as
// one shell script a process in the lab's directory (DIRECTORY/start/), to be read.
#pragma once

#include "lab/processes.h"

namespace godwit::apps {

// `program`: this godwit's own path. Errors: io, invalid_argument (an image that is none).
[[nodiscard]] Result<std::vector<lab::ProcessPlan>> plan_processes(const std::string& program, const lab::Plan& plan,
                                                                   const std::string& directory);

}  // namespace godwit::apps
