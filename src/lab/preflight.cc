#include "lab/preflight.h"

#include "lab/descriptor.h"
#include "lab/netns.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <set>
#include <sstream>

namespace godwit::lab {
namespace {

struct Tool {
  std::string_view program;
  std::string_view package;
};
constexpr std::array kTools{Tool{"ip", "iproute2"}, Tool{"tc", "iproute2"}, Tool{"nft", "nftables"},
                            Tool{"sysctl", "procps"}};

bool in_path(std::string_view program) {
  const char* path = std::getenv("PATH");
  std::istringstream directories(path ? path : "");
  std::string directory;
  while (std::getline(directories, directory, ':')) {
    if (::access(fmt::format("{}/{}", directory, program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

Result<> check_tools(const Plan& plan) {
  std::set<std::string> needed;
  for (const auto* commands : {&plan.make_namespaces, &plan.fill_namespaces}) {
    for (const Command& command : *commands) needed.insert(command.argv[0]);
  }
  for (const Tool& tool : kTools) {
    if (!needed.contains(std::string(tool.program)) || in_path(tool.program)) continue;
    return fail(Errc::not_found, "program {} is missing: apt-get install {}", tool.program, tool.package);
  }
  return {};
}

// Tried in a child: the caller's namespace stays its own.
Result<> check_namespaces() {
  const pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "fork");
  if (child == 0) ::_exit(::unshare(CLONE_NEWNET) == 0 ? 0 : errno);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return fail(Errc::denied, "make a network namespace: {} (in a container, give it CAP_SYS_ADMIN and CAP_NET_ADMIN)",
              std::strerror(WEXITSTATUS(status)));
}

Result<> check_tun() {
  const Descriptor tun(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (tun) return {};
  return fail(Errc::unsupported, "open /dev/net/tun: {} (modprobe tun; in a container, pass the device in)",
              std::strerror(errno));
}

}  // namespace

Result<> check_machine(const Plan& plan) {
  if (::geteuid() != 0)
    return fail(Errc::denied, "a lab is made of network namespaces, and only root makes them: run as root");
  if (const auto tools = check_tools(plan); !tools) return tools;
  if (const auto tun = check_tun(); !tun) return tun;
  if (const auto spaces = check_namespaces(); !spaces) return spaces;
  const auto taken = netns_with_prefix(netns_prefix(plan.config.name));
  if (!taken.empty()) {
    return fail(Errc::conflict,
                "network namespace {0} exists and is of no lab: take another --name, or: ip netns del {0}",
                taken.front());
  }
  return {};
}

}  // namespace godwit::lab
