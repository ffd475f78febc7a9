#include "os/packet_netns.h"

#include "os/descriptor.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <thread>

namespace godwit::os {
namespace {

constexpr const char* kDirectory = "/run/netns";

std::string path_of(const std::string& name) { return fmt::format("{}/{}", kDirectory, name); }

bool is_namespace(const std::string& path) {
  struct statfs found{};
  return ::statfs(path.c_str(), &found) == 0 && found.f_type == NSFS_MAGIC;
}

// Mounts made below must be seen by other mount namespaces, and their removal too.
Result<> share_directory() {
  if (::mkdir(kDirectory, 0755) != 0 && errno != EEXIST) return fail_errno(errno, fmt::format("make {}", kDirectory));
  if (::mount("", kDirectory, "none", MS_SHARED | MS_REC, nullptr) == 0) return {};
  if (errno != EINVAL) return fail_errno(errno, fmt::format("share the mounts of {}", kDirectory));
  const bool done = ::mount(kDirectory, kDirectory, "none", MS_BIND | MS_REC, nullptr) == 0 &&
                    ::mount("", kDirectory, "none", MS_SHARED | MS_REC, nullptr) == 0;
  if (!done) return fail_errno(errno, fmt::format("share the mounts of {}", kDirectory));
  return {};
}

// Leaves this thread inside the new namespace.
Result<> make(const std::string& path) {
  const auto shared = share_directory();
  if (!shared) return shared;
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0));
  if (!file) return fail_errno(errno, "make " + path);
  if (::unshare(CLONE_NEWNET) != 0) return fail_errno(errno, "make network namespace " + path);
  if (::mount("/proc/thread-self/ns/net", path.c_str(), "none", MS_BIND, nullptr) != 0) {
    return fail_errno(errno, "name network namespace " + path);
  }
  return {};
}

Result<> enter(const std::string& path) {
  if (!is_namespace(path)) return make(path);
  const Descriptor space(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!space) return fail_errno(errno, "open network namespace " + path);
  if (::setns(space.get(), CLONE_NEWNET) != 0) return fail_errno(errno, "enter network namespace " + path);
  return {};
}

}  // namespace

Result<> in_network_namespace(const std::string& name, const std::function<Result<>()>& job) {
  Result<> out;
  std::thread inside([&] {
    const auto entered = enter(path_of(name));
    out = entered ? job() : entered;
  });
  inside.join();
  return out;
}

Result<> remove_network_namespace(const std::string& name) {
  const auto path = path_of(name);
  if (is_namespace(path) && ::umount2(path.c_str(), MNT_DETACH) != 0) {
    return fail_errno(errno, "unmount network namespace " + path);
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "remove " + path);
  return {};
}

}  // namespace godwit::os
