#include "os/confinement.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <vector>

namespace godwit::os {

#ifdef __x86_64__
namespace {

constexpr std::uint32_t kX32Bit = 0x40000000;  // of the calls of another ABI, by the same entry
constexpr std::uint32_t kRefused = SECCOMP_RET_ERRNO | EPERM;

constexpr std::uint32_t kForbidden[] = {SYS_execve,
                                        SYS_execveat,
                                        SYS_fork,
                                        SYS_vfork,
                                        SYS_clone,
                                        SYS_clone3,
                                        SYS_kill,
                                        SYS_tkill,
                                        SYS_ptrace,
                                        SYS_process_vm_readv,
                                        SYS_process_vm_writev,
                                        SYS_pidfd_open,
                                        SYS_pidfd_getfd,
                                        SYS_pidfd_send_signal,
                                        SYS_mount,
                                        SYS_umount2,
                                        SYS_pivot_root,
                                        SYS_chroot,
                                        SYS_unshare,
                                        SYS_setns,
                                        SYS_bpf,
                                        SYS_perf_event_open,
                                        SYS_keyctl,
                                        SYS_add_key,
                                        SYS_request_key,
                                        SYS_userfaultfd,
                                        SYS_io_uring_setup,
                                        SYS_init_module,
                                        SYS_finit_module,
                                        SYS_kexec_load,
                                        SYS_open_by_handle_at,
                                        SYS_setuid,
                                        SYS_setgid,
                                        SYS_setresuid,
                                        SYS_setresgid};

sock_filter load(std::size_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)); }
sock_filter answer(std::uint32_t action) { return BPF_STMT(BPF_RET | BPF_K, action); }
// Goes on behind the next instruction where it is not `value`.
sock_filter unless_equal(std::uint32_t value) { return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1); }
sock_filter unless_at_least(std::uint32_t value) { return BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, value, 0, 1); }

std::vector<sock_filter> program() {
  std::vector<sock_filter> out{
      load(offsetof(seccomp_data, arch)), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
      answer(SECCOMP_RET_KILL_PROCESS),   load(offsetof(seccomp_data, nr)),
      unless_at_least(kX32Bit),           answer(kRefused)};
  for (const auto number : kForbidden) {
    out.push_back(unless_equal(number));
    out.push_back(answer(kRefused));
  }
  // Of socket(), the first argument's low half is the family.
  out.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3));
  out.push_back(load(offsetof(seccomp_data, args)));
  out.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 1, 0));
  out.push_back(answer(kRefused));
  out.push_back(answer(SECCOMP_RET_ALLOW));
  return out;
}

}  // namespace

Result<> confine(std::size_t memory_bytes) {
  const rlimit memory{memory_bytes, memory_bytes};
  if (::setrlimit(RLIMIT_DATA, &memory) != 0) return fail_errno(errno, "limit this process's memory");
  const rlimit none{0, 0};
  if (::setrlimit(RLIMIT_CORE, &none) != 0) return fail_errno(errno, "forbid core dumps");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno(errno, "give up new privileges");
  auto filter = program();
  const sock_fprog all{static_cast<unsigned short>(filter.size()), filter.data()};
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all, 0, 0) != 0) return fail_errno(errno, "set a seccomp filter");
  return {};
}
#else
Result<> confine(std::size_t) { return fail(Errc::unsupported, "no seccomp filter for this machine"); }
#endif

}  // namespace godwit::os
