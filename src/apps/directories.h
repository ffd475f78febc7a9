// apps/directories.h: where this user's configuration and state are (XDG Base Directory Specification).
#pragma once

#include <string>

namespace godwit::apps {

[[nodiscard]] std::string config_directory();  // ~/.config/godwit
[[nodiscard]] std::string state_directory();   // ~/.local/state/godwit

}  // namespace godwit::apps
