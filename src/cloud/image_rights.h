// Of which images a tenant may have instances.
#pragma once

#include "cloud/core.h"

namespace godwit::cloud {

// Of that content: some name means it to them or to everybody, or one of their instances that are here runs of it.
[[nodiscard]] bool may_run(Sql& sql, const std::string& tenant, const std::string& sha256);

}  // namespace godwit::cloud
