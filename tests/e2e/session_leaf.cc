// One session between a TUN device and a UDP socket, for tests of interoperability: wireguard_peer.py runs it.
//   session_leaf TUN PORT native|wireguard PRIVATE_KEY PEER_KEY PSK PACE [PEER_IP PEER_PORT]
// Keys are hex. With PEER_IP it begins by itself; else it waits to be called. PACE makes its clock run that many times
// faster, so that a session ages in seconds. Ends with its standard input.
#include "base/assert.h"
#include "os/clock.h"
#include "overlay/session.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <iostream>

namespace godwit::overlay {
namespace {

constexpr std::size_t kMostHeld = 64;  // packets that wait for the session

[[noreturn]] void give_up(const std::string& what) {
  std::cerr << "session_leaf: " << what << ": " << std::strerror(errno) << "\n";
  std::exit(1);
}

template <class Array>
Array key_of(const std::string& hex) {
  Array out{};
  const auto bytes = from_hex(hex);
  GODWIT_ASSERT(bytes && bytes->size() == out.size());
  std::ranges::copy(*bytes, out.begin());
  return out;
}

int open_tun(const std::string& name) {
  const int descriptor = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  ifreq request{};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (descriptor < 0 || ::ioctl(descriptor, TUNSETIFF, &request) != 0) give_up("open TUN " + name);
  return descriptor;
}

int open_socket(std::uint16_t port) {
  const int descriptor = ::socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  if (descriptor < 0 || ::bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) give_up("bind");
  return descriptor;
}

// What an IP packet says its length is: WireGuard fills up to 16 bytes.
std::size_t ip_length(ByteView packet) {
  if (packet.size() < 20) return 0;
  const auto version = std::to_integer<unsigned>(packet[0]) >> 4U;
  if (version == 4) return load_be16(packet.subspan(2));
  return version == 6 && packet.size() >= 40 ? 40U + load_be16(packet.subspan(4)) : 0;
}

class Leaf {
 public:
  Leaf(char** words, int count)
      : tun_(open_tun(words[1])),
        socket_(open_socket(static_cast<std::uint16_t>(std::stoul(words[2])))),
        pace_(std::stoi(words[7])),

        sessions_(
            crypto::KeyPair::of(crypto::Secret(key_of<crypto::PublicKey>(words[4]))), random_,
            [this] { return clock_.wall_now(); }, ciphers_) {
    const auto profile = std::string_view(words[3]) == "native" ? Profile::native : Profile::wireguard;
    peer_ = sessions_.add(
        {key_of<crypto::PublicKey>(words[5]), crypto::Secret(key_of<crypto::PublicKey>(words[6])), profile});
    GODWIT_ASSERT(peer_ != kNobody);
    if (count < 10) return;
    at_ = *sys::parse_udp_endpoint(words[8], static_cast<std::uint16_t>(std::stoul(words[9])));
    sessions_.begin(now(), peer_);
  }

  void run() {
    for (;;) {
      send_out();
      pollfd ends[] = {{0, POLLIN, 0}, {tun_, POLLIN, 0}, {socket_, POLLIN, 0}};
      ::poll(ends, 3, wait_ms());
      if (ends[0].revents != 0) return;
      sessions_.poll(now());
      while (receive()) {
      }
      while (read_tun()) {
      }
    }
  }

 private:
  TimePoint now() const { return began_ + (clock_.now() - began_) * pace_; }

  int wait_ms() const {
    const auto next = sessions_.next_deadline();
    if (!next) return 1000;
    return static_cast<int>(std::clamp<std::int64_t>((*next - now()) / pace_ / Millis{1} + 1, 0, 1000));
  }

  void send(const sys::UdpEndpoint& to, ByteView bytes) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(to.port);
    std::memcpy(&address.sin6_addr, to.ip.data(), to.ip.size());
    (void)!::sendto(socket_, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&address), sizeof address);
  }

  void send_out() {
    for (const auto& each : sessions_.take_out()) {
      const auto to = each.to ? each.to : at_;
      if (to) send(to, each.bytes);
    }
  }

  bool receive() {
    sockaddr_in6 address{};
    socklen_t size = sizeof address;
    const auto got = ::recvfrom(socket_, room_.data(), room_.size(), 0, reinterpret_cast<sockaddr*>(&address), &size);
    if (got <= 0) return false;
    sys::UdpEndpoint from;
    std::memcpy(from.ip.data(), &address.sin6_addr, from.ip.size());
    from.port = ntohs(address.sin6_port);
    const auto opened = sessions_.on_datagram(now(), from, ByteSpan(room_).first(static_cast<std::size_t>(got)));
    if (opened.peer != kNobody && opened.newest) at_ = from;
    if (opened.what == Heard::data) {
      const auto length = ip_length(opened.payload);
      if (length != 0 && length <= opened.payload.size()) (void)!::write(tun_, opened.payload.data(), length);
    }
    send_out();
    if (opened.ready) {
      for (auto& each : std::exchange(held_, {})) seal(std::move(each));
    }
    return true;
  }

  bool read_tun() {
    const auto got = ::read(tun_, room_.data(), room_.size());
    if (got <= 0) return false;
    const auto payload = (static_cast<std::size_t>(got) + 15) / 16 * 16;
    ByteVector datagram(payload + kSealOverhead);
    std::copy_n(room_.begin(), got, datagram.begin() + kSealHeader);
    seal(std::move(datagram));
    send_out();
    return true;
  }

  void seal(ByteVector datagram) {
    if (sessions_.seal(now(), peer_, datagram)) {
      if (at_) send(at_, datagram);
    } else if (held_.size() < kMostHeld) {
      held_.push_back(std::move(datagram));
    }
  }

  int tun_;
  int socket_;
  int pace_;
  os::SystemClock clock_;
  os::SystemRandom random_;
  crypto::Ciphers ciphers_ = crypto::Ciphers::fastest();
  TimePoint began_ = clock_.now();
  Sessions sessions_;
  PeerId peer_{kNobody};
  sys::UdpEndpoint at_;
  std::deque<ByteVector> held_;
  ByteVector room_ = ByteVector(65536);
};

}  // namespace
}  // namespace godwit::overlay

int main(int count, char** words) {
  if (count != 8 && count != 10) {
    std::cerr << "usage: session_leaf TUN PORT native|wireguard PRIVATE_KEY PEER_KEY PSK PACE [PEER_IP PEER_PORT]\n";
    return 2;
  }
  godwit::overlay::Leaf(words, count).run();
  return 0;
}
