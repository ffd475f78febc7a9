// Which Godwit this is.
#pragma once

#include <string_view>

namespace godwit {

[[nodiscard]] std::string_view version();  // "0.1.0", as CMakeLists.txt says it

}  // namespace godwit
