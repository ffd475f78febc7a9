// lab/preflight.h: what a machine lacks for a lab, found out before anything is made.
#pragma once

#include "lab/plan.h"

namespace godwit::lab {

// Errors: denied (not root, or a container without the right to make namespaces), unsupported (no TUN device),
// not_found (a program is missing: names its Debian package), conflict (a namespace with a name of ours).
[[nodiscard]] Result<> check_machine(const Plan& plan);

}  // namespace godwit::lab
