#include "os/tcp.h"

#include "base/assert.h"
#include "os/awaiting.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/this_coro.hpp>
#include <cerrno>
#include <cstring>

namespace godwit::os {
namespace {

constexpr int kBacklog = 512;
constexpr int kIdleBeforeProbe_s = 5;
constexpr int kProbeEvery_s = 2;
constexpr int kProbes = 3;
constexpr int kUnacknowledged_ms = 10'000;  // TCP_USER_TIMEOUT, RFC 5482
constexpr int kUnsentBytes = 64 * 1024;
constexpr std::string_view kCongestion = "bbr";

struct Address {
  sockaddr_storage storage{};
  socklen_t size{0};

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Result<Address> parse_address(const std::string& host, std::uint16_t port) {
  Address address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (::inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.size = sizeof *v4;
  } else if (::inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    address.size = sizeof *v6;
  } else {
    return fail(Errc::invalid_argument, "\"{}\" is no IPv4 or IPv6 address", host);
  }
  return address;
}

// While it lives, this thread is in another network namespace.
class NamespaceVisit {
 public:
  Result<> enter(const std::string& name) {
    if (name.find('/') != std::string::npos)
      return fail(Errc::invalid_argument, "\"{}\" is no network namespace", name);
    const auto path = "/run/netns/" + name;
    const Descriptor there(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!there) return fail_errno(errno, "open network namespace " + path);
    home_ = Descriptor(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    if (!home_) return fail_errno(errno, "open our own network namespace");
    if (::setns(there.get(), CLONE_NEWNET) != 0) {
      const int error = errno;
      home_.reset();
      return fail_errno(error, fmt::format("enter network namespace {} (root only)", name));
    }
    return {};
  }
  NamespaceVisit() = default;
  ~NamespaceVisit() {
    // Nothing could be right after a failure to return: every later socket would be in the guest's network.
    if (home_) GODWIT_ASSERT(::setns(home_.get(), CLONE_NEWNET) == 0);
  }
  NamespaceVisit(const NamespaceVisit&) = delete;
  NamespaceVisit& operator=(const NamespaceVisit&) = delete;

 private:
  Descriptor home_;
};

void set(int socket, int level, int option, int value) { ::setsockopt(socket, level, option, &value, sizeof value); }

}  // namespace

Result<Descriptor> listen_tcp(const TcpListen& where) {
  const auto doing = fmt::format("listen on {} port {}", where.host, where.port);
  const auto address = parse_address(where.host, where.port);
  if (!address) return fail(address, doing);
  NamespaceVisit visit;
  if (!where.network_namespace.empty()) {
    const auto entered = visit.enter(where.network_namespace);
    if (!entered) return fail(entered, doing);
  }
  Descriptor socket(::socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno(errno, doing);
  set(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (!where.device.empty()) {
    const auto size = static_cast<socklen_t>(where.device.size());
    if (::setsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, where.device.data(), size) != 0) {
      return fail_errno(errno, fmt::format("{} of device {}", doing, where.device));
    }
  }
  if (::bind(socket.get(), address->get(), address->size) != 0 || ::listen(socket.get(), kBacklog) != 0) {
    const int error = errno;
    if (error == EADDRINUSE) return fail(Errc::conflict, "{}: another process has this port", doing);
    return fail_errno(error, doing);
  }
  return socket;
}

int family_of(const Descriptor& socket) {
  int family = AF_UNSPEC;
  socklen_t size = sizeof family;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_DOMAIN, &family, &size);
  return family;
}

std::uint16_t port_of(const Descriptor& socket) {
  Address address;
  address.size = sizeof address.storage;
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address.storage), &address.size);
  if (address.storage.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port);
  }
  if (address.storage.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_port);
  }
  return 0;
}

sys::Task<Result<Socket>> dial_tcp(std::string host, std::uint16_t port) {
  const auto executor = co_await boost::asio::this_coro::executor;
  const auto doing = fmt::format("dial {} port {}", host, port);
  const auto address = parse_address(host, port);
  if (!address) co_return fail(address, doing);
  const int family = address->storage.ss_family;
  Descriptor descriptor(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!descriptor) co_return fail_errno(errno, doing);
  tune(descriptor.get());
  int error = ::connect(descriptor.get(), address->get(), address->size) == 0 ? 0 : errno;
  Socket socket = adopt_socket(executor, std::move(descriptor), family);
  if (error == EINPROGRESS) {
    auto [wait_error] = co_await socket.async_wait(Socket::wait_write, kAwait);
    co_await unless_cancelled();
    if (wait_error) co_return failure(wait_error, doing);
    socklen_t size = sizeof error;
    ::getsockopt(socket.native_handle(), SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error != 0) co_return fail_errno(error, doing);
  co_return socket;
}

void tune(int socket) {
  set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  set(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(socket, IPPROTO_TCP, TCP_KEEPIDLE, kIdleBeforeProbe_s);
  set(socket, IPPROTO_TCP, TCP_KEEPINTVL, kProbeEvery_s);
  set(socket, IPPROTO_TCP, TCP_KEEPCNT, kProbes);
  set(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, kUnacknowledged_ms);
  set(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kUnsentBytes);
  // Where the kernel has it: a queue that others fill up would stand in every pause (docs/decisions/congestion.md).
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, kCongestion.data(), kCongestion.size());
}

std::string remote_of(int socket) {
  Address address;
  address.size = sizeof address.storage;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0) return "nobody";
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
    ::inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
    return fmt::format("{}:{}", text.data(), ntohs(v4->sin_port));
  }
  if (address.storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    ::inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
    return fmt::format("[{}]:{}", text.data(), ntohs(v6->sin6_port));
  }
  return "unix";
}

}  // namespace godwit::os
