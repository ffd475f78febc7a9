// Security groups for people.
#pragma once

#include "wire/security_group.h"

#include <string>

namespace godwit::cli {

[[nodiscard]] std::string security_groups_text(const wire::SecurityGroupList& list);
[[nodiscard]] std::string security_group_text(const wire::SecurityGroup& group);

}  // namespace godwit::cli
