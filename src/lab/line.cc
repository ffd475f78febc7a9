#include "lab/line.h"

#include "lab/descriptor.h"
#include "lab/netns.h"
#include "lab/state.h"
#include "lab/wan.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <array>
#include <cstring>

namespace godwit::lab {
namespace {

// While packets flow the line wakes once a tick and moves all that came and all that is due, instead of once a packet.
constexpr Nanos kTick{250'000};
constexpr int kMostReads = 512;  // of one device before the next gets its turn: more than 1 Gbit/s brings in a tick
constexpr Seconds kControlLimit{2};
constexpr int kPriority = -10;  // late packets would make the WAN look worse than it is set

TimePoint monotonic_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return TimePoint{Seconds{now.tv_sec} + Nanos{now.tv_nsec}};
}

timespec to_timespec(Nanos span) {
  return {.tv_sec = static_cast<time_t>(span.count() / 1'000'000'000), .tv_nsec = span.count() % 1'000'000'000};
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (path.size() >= sizeof(address.sun_path))
    return fail(Errc::invalid_argument, "socket {}: the path is too long", path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

Result<Descriptor> open_tun(const WanPort& port) {
  const auto entered = enter_netns(port.netns);
  if (!entered) return pass(entered);
  Descriptor tun(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!tun) return fail_errno(errno, "open /dev/net/tun");
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  port.device.copy(request.ifr_name, IFNAMSIZ - 1);
  if (::ioctl(tun.get(), TUNSETIFF, &request) != 0) {
    return fail_errno(errno, fmt::format("attach to {} in {}", port.device, port.netns));
  }
  return tun;
}

Result<std::vector<Descriptor>> open_tuns(const std::vector<WanPort>& ports) {
  const Descriptor home(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  std::vector<Descriptor> tuns;
  for (const WanPort& port : ports) {
    auto tun = open_tun(port);
    if (!tun) return pass(tun);
    tuns.push_back(std::move(*tun));
  }
  if (::setns(home.get(), CLONE_NEWNET) != 0) return fail_errno(errno, "return to the own namespace");
  return tuns;
}

Result<Descriptor> listen_on(const std::string& path) {
  const auto address = address_of(path);
  if (!address) return pass(address);
  Descriptor listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  ::unlink(path.c_str());
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) != 0 ||
      ::listen(listener.get(), 8) != 0) {
    return fail_errno(errno, "listen on " + path);
  }
  return listener;
}

class Line {
 public:
  Line(WanSetup setup, std::vector<Descriptor> tuns, Descriptor listener)
      : wan_(std::move(setup)), tuns_(std::move(tuns)), listener_(std::move(listener)) {
    polled_.push_back({.fd = listener_.get(), .events = POLLIN, .revents = 0});
    polled_.push_back({.fd = -1, .events = POLLIN, .revents = 0});
    for (const Descriptor& tun : tuns_) polled_.push_back({.fd = tun.get(), .events = POLLIN, .revents = 0});
  }

  [[nodiscard]] Result<> serve() {
    bool busy = false;
    while (true) {
      if (const auto waited = wait(busy); !waited) return waited;
      if (polled_[kClient].revents != 0) answer();
      if (polled_[kListener].revents != 0) greet();
      busy = read_all();
      wan_.deliver_due(monotonic_now(), deliver_);
    }
  }

 private:
  // Where in polled_ each kind stands.
  static constexpr std::size_t kListener = 0;
  static constexpr std::size_t kClient = 1;
  static constexpr std::size_t kFirstTun = 2;

  // Idle, until a packet comes or is due; busy, one tick, in which packets gather.
  [[nodiscard]] Result<> wait(bool busy) {
    std::optional<Nanos> limit;
    if (const auto due = wan_.next_deadline()) limit = std::max(*due - monotonic_now(), Nanos{0});
    if (busy) limit = kTick;
    timespec timeout{};
    if (limit) timeout = to_timespec(*limit);
    const nfds_t count = busy ? kFirstTun : polled_.size();
    for (pollfd& each : polled_) each.revents = 0;
    if (::ppoll(polled_.data(), count, limit ? &timeout : nullptr, nullptr) < 0 && errno != EINTR) {
      return fail_errno(errno, "wait for packets");
    }
    return {};
  }

  // True when there were any.
  bool read_all() {
    bool any = false;
    for (std::uint32_t port = 0; port < tuns_.size(); ++port) {
      for (int i = 0; i < kMostReads; ++i) {
        if (!spare_) spare_ = std::make_unique_for_overwrite<Slot>();
        const ssize_t got = ::read(tuns_[port].get(), spare_->bytes.data(), spare_->bytes.size());
        if (got <= 0) break;
        spare_->size = static_cast<std::uint16_t>(got);
        wan_.accept(monotonic_now(), port, std::move(spare_));
        any = true;
      }
    }
    return any;
  }

  // One client at a time: a new one takes the place of one that says nothing.
  void greet() {
    client_ = Descriptor(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    polled_[kClient].fd = client_.get();
  }

  void answer() {
    const Descriptor client = std::exchange(client_, Descriptor());
    polled_[kClient].fd = -1;
    const auto got = ::recv(client.get(), message_.data(), message_.size(), 0);
    if (got <= 0) return;
    const std::string_view request(message_.data(), static_cast<std::size_t>(got));
    std::string reply = "{}";
    if (request.starts_with('[')) {
      const auto table = parse_wan_table(request, wan_.ports().size());
      if (table) wan_.reshape(monotonic_now(), *table);
      if (!table) reply = table.error().message;
    } else {
      reply = to_json(wan_.counters());
    }
    (void)!::send(client.get(), reply.data(), reply.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  Wan wan_;
  std::vector<Descriptor> tuns_;
  Descriptor listener_;
  Descriptor client_;
  std::vector<pollfd> polled_;
  Packet spare_;
  std::string message_ = std::string(kMostWanJsonBytes, '\0');
  // A device that is down, or has no room, drops: as a wire does.
  std::function<void(std::uint32_t, Packet)> deliver_ = [this](std::uint32_t port, const Packet& packet) {
    (void)!::write(tuns_[port].get(), packet->bytes.data(), packet->size);
  };
};

// One request and its answer.
Result<std::string> converse(const std::string& directory, const std::string& request) {
  const std::string path = directory + "/wan.sock";
  const auto address = address_of(path);
  if (!address) return pass(address);
  const Descriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const timeval limit{.tv_sec = kControlLimit.count(), .tv_usec = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  std::string reply(kMostWanJsonBytes, '\0');
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) == 0 &&
      ::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size())) {
    const ssize_t got = ::recv(socket.get(), reply.data(), reply.size(), 0);
    if (got > 0) {
      reply.resize(static_cast<std::size_t>(got));
      return reply;
    }
  }
  return fail(Errc::unavailable, "the delay line does not answer on {}: {} (see log/wan.delay-line.log beside it)",
              path, std::strerror(errno));
}

}  // namespace

Result<> run_line(const std::string& directory, int ready) {
  const auto text = read_file(directory + "/wan.json", kMostWanJsonBytes);
  if (!text) return pass(text);
  auto setup = parse_wan_setup(*text);
  if (!setup) return pass(setup);
  auto tuns = open_tuns(setup->ports);
  if (!tuns) return pass(tuns);
  auto listener = listen_on(directory + "/wan.sock");
  if (!listener) return pass(listener);
  ::setpriority(PRIO_PROCESS, 0, kPriority);
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  Line line(std::move(*setup), std::move(*tuns), std::move(*listener));
  (void)!::write(ready, "+", 1);
  ::close(ready);
  return line.serve();
}

Result<> set_table(const std::string& directory, const WanTable& table) {
  const auto reply = converse(directory, to_json(table));
  if (!reply) return pass(reply);
  if (*reply != "{}") return fail(Errc::protocol, "the delay line refused: {}", *reply);
  return {};
}

Result<WanCounters> ask_counters(const std::string& directory) {
  const auto reply = converse(directory, "{}");
  if (!reply) return pass(reply);
  return parse_wan_counters(*reply);
}

}  // namespace godwit::lab
