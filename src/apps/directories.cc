#include "apps/directories.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

namespace godwit::apps {
namespace {

std::string home() {
  const char* set = std::getenv("HOME");
  if (set && set[0] == '/') return set;
  const passwd* user = ::getpwuid(::getuid());
  return user && user->pw_dir && user->pw_dir[0] == '/' ? user->pw_dir : "/";
}

// The specification has relative paths passed over.
std::string directory(const char* variable, const std::string& otherwise) {
  const char* set = std::getenv(variable);
  return (set && set[0] == '/' ? std::string(set) : home() + otherwise) + "/godwit";
}

}  // namespace

std::string config_directory() { return directory("XDG_CONFIG_HOME", "/.config"); }
std::string state_directory() { return directory("XDG_STATE_HOME", "/.local/state"); }

}  // namespace godwit::apps
