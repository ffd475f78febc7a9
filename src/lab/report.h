// lab/report.h: a lab's status, as people and programs read it.
#pragma once

#include "lab/lab.h"

#include <string>
#include <vector>

namespace godwit::lab {

// What to do with a lab that has just come up.
[[nodiscard]] std::string welcome(const LabStatus& status);
[[nodiscard]] std::string to_table(const LabStatus& status);
// {"labs": [{name, state, nodes, paths, faults, processes}]}: docs/ops/lab.md has every field.
[[nodiscard]] std::string to_json(const std::vector<LabStatus>& labs);

}  // namespace godwit::lab
