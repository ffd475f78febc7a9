#include "os/confinement.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <thread>
#include <vector>

namespace godwit::os {
namespace {

// In a child, as there is no way back. Its exit code is what it was not to be able to do; 0: all is as it must be.
template <class Body>
int in_a_child(Body body) {
  const auto pid = ::fork();
  if (pid == 0) ::_exit(confine(1UL << 46U) ? body() : 100);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Confinement, LeavesFilesAndUnixSockets) {
  EXPECT_EQ(in_a_child([] {
              std::ifstream file("/proc/self/status");
              if (!file) return 1;
              return ::socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? 0 : 2;
            }),
            0);
}

TEST(Confinement, TakesTheNetworkAndOtherPrograms) {
  EXPECT_EQ(in_a_child([] {
              if (::socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM) return 1;
              if (::socket(AF_INET6, SOCK_DGRAM, 0) >= 0 || errno != EPERM) return 2;
              if (::socket(AF_NETLINK, SOCK_RAW, 0) >= 0 || errno != EPERM) return 3;
              char program[] = "/bin/true";
              char* argv[] = {program, nullptr};
              ::execv(program, argv);
              if (errno != EPERM) return 4;
              if (::fork() >= 0 || errno != EPERM) return 5;
              return ::kill(::getppid(), 0) == 0 ? 6 : 0;
            }),
            0);
}

}  // namespace
}  // namespace godwit::os
