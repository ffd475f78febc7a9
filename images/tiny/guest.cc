#include "guest.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "text.h"
#include <cstring>
#include <filesystem>
#include <set>

namespace godwit::tiny {
namespace {

constexpr const char* kInterface = "eth0";

ifreq request() {
  ifreq asked{};
  strncpy(asked.ifr_name, kInterface, sizeof asked.ifr_name - 1);
  return asked;
}

bool parse(const std::string& text, sockaddr& into) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  const bool good = inet_pton(AF_INET, text.c_str(), &address.sin_addr) == 1;
  memcpy(&into, &address, sizeof into);
  return good;
}

void set_mtu(int socket, const std::string& mtu) {
  ifreq asked = request();
  asked.ifr_mtu = static_cast<int>(number_of(mtu).value_or(1500));
  ioctl(socket, SIOCSIFMTU, &asked);
}

void set_address(int socket, const std::string& address, std::uint64_t prefix) {
  ifreq asked = request();
  if (!parse(address, asked.ifr_addr)) return;
  ioctl(socket, SIOCSIFADDR, &asked);
  const std::uint32_t mask = prefix == 0 ? 0 : ~std::uint32_t{0} << (32 - std::min<std::uint64_t>(prefix, 32));
  in_addr netmask{htonl(mask)};
  parse(inet_ntoa(netmask), asked.ifr_netmask);
  ioctl(socket, SIOCSIFNETMASK, &asked);
}

void set_up(int socket) {
  ifreq asked = request();
  asked.ifr_flags = IFF_UP | IFF_RUNNING;
  ioctl(socket, SIOCSIFFLAGS, &asked);
}

void set_gateway(int socket, const std::string& gateway) {
  rtentry route{};
  if (!parse(gateway, route.rt_gateway)) return;
  parse("0.0.0.0", route.rt_dst);
  parse("0.0.0.0", route.rt_genmask);
  route.rt_flags = RTF_UP | RTF_GATEWAY;
  ioctl(socket, SIOCADDRT, &route);
}

void start_dhcp() {
  if (fork() != 0) return;
  // -t 3 -T 1: three tries a second apart, then again at once (-A 1), for ever: a late server is still found.
  execl("/bin/busybox", "udhcpc", "-i", kInterface, "-s", "/etc/udhcpc", "-O", "mtu", "-O", "staticroutes", "-t", "3",
        "-T", "1", "-A", "1", "-f", "-S", nullptr);
  _exit(127);
}

}  // namespace

void prepare_kernel() {
  mount("proc", "/proc", "proc", 0, nullptr);
  mount("sysfs", "/sys", "sysfs", 0, nullptr);
  mount("devtmpfs", "/dev", "devtmpfs", 0, nullptr);
  std::set<std::filesystem::path> modules;
  for (const auto& entry : std::filesystem::directory_iterator("/modules")) modules.insert(entry.path());
  for (const auto& module : modules) {
    const int file = open(module.c_str(), O_RDONLY | O_CLOEXEC);
    if (syscall(SYS_finit_module, file, "", 0) != 0) perror(module.c_str());
    close(file);
  }
}

std::string kernel_option(const std::string& key) {
  for (const auto& word : words_of(file_content("/proc/cmdline")))
    if (word.starts_with(key + '=')) return word.substr(key.size() + 1);
  return {};
}

void bring_up_network() {
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq loopback{};
  strcpy(loopback.ifr_name, "lo");
  loopback.ifr_flags = IFF_UP | IFF_RUNNING;
  ioctl(socket, SIOCSIFFLAGS, &loopback);
  const std::string address = kernel_option("godwit.ip"), mtu = kernel_option("godwit.mtu");
  if (address != "none") {
    if (!mtu.empty()) set_mtu(socket, mtu);
    const std::size_t slash = address.find('/');
    if (address.empty())
      start_dhcp();
    else
      set_address(socket, address.substr(0, slash),
                  slash == address.npos ? 24 : number_of(address.substr(slash + 1)).value_or(24));
    set_up(socket);
    set_gateway(socket, kernel_option("godwit.gateway"));
  }
  close(socket);
}

std::string network_facts() {
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq asked = request();
  std::string ip = "none";
  if (ioctl(socket, SIOCGIFADDR, &asked) == 0) {
    sockaddr_in address{};
    memcpy(&address, &asked.ifr_addr, sizeof address);
    ip = inet_ntoa(address.sin_addr);
  }
  close(socket);
  return "mac=" + file_content("/sys/class/net/eth0/address") + " ip=" + ip +
         " mtu=" + file_content("/sys/class/net/eth0/mtu");
}

int start_shell(const std::string& command, int& process_id) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  process_id = fork();
  if (process_id == 0) {
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    setenv("PATH", "/bin", 1);
    execl("/bin/busybox", "sh", "-c", command.c_str(), nullptr);
    _exit(127);
  }
  close(ends[1]);
  if (process_id > 0) return ends[0];
  close(ends[0]);
  return -1;
}

}  // namespace godwit::tiny
