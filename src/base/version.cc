#include "base/version.h"

namespace godwit {

std::string_view version() { return GODWIT_VERSION; }

}  // namespace godwit
