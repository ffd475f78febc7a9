// Network namespaces by name, as ip-netns(8) keeps them: bind mounts in /run/netns.
#pragma once

#include "base/result.h"

#include <functional>
#include <string>

namespace godwit::os {

// Runs `job` on a thread of its own inside the namespace, which is made if it is not there.
[[nodiscard]] Result<> in_network_namespace(const std::string& name, const std::function<Result<>()>& job);

// It lives on while processes are inside. Not an error when it is not there.
[[nodiscard]] Result<> remove_network_namespace(const std::string& name);

}  // namespace godwit::os
