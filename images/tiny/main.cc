// images/tiny/main.cc: process 1 of the tiny guest: prepares the kernel, then serves tests on TCP and the serial line.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "guest.h"
#include "service.h"
#include <atomic>
#include <csignal>
#include <cstdio>
#include <thread>

using namespace godwit::tiny;

namespace {

constexpr int kMaxPeers = 64;

int listen_at(std::uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(port);
  if (bind(socket, reinterpret_cast<sockaddr*>(&any), sizeof any) != 0 || listen(socket, kMaxPeers) != 0)
    perror("listen");
  return socket;
}

void serve_network(Service& service) {
  static std::atomic<int> peers{0};
  const int listener = listen_at(kServicePort);
  for (;;) {
    const int socket = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) continue;
    if (peers >= kMaxPeers) {
      close(socket);
      continue;
    }
    const int yes = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    ++peers;
    std::thread([&service, socket] {
      service.serve(Line(socket, socket));
      close(socket);
      --peers;
    }).detach();
  }
}

int open_serial() {
  const int serial = open("/dev/ttyS0", O_RDWR | O_NOCTTY | O_CLOEXEC);
  termios mode{};
  if (serial < 0 || tcgetattr(serial, &mode) != 0) return serial;
  cfmakeraw(&mode);  // no echo: the peer is a program
  mode.c_cflag |= CLOCAL;
  tcsetattr(serial, TCSANOW, &mode);
  return serial;
}

}  // namespace

int main() {
  signal(SIGPIPE, SIG_IGN);
  prepare_kernel();
  bring_up_network();
  Service service;
  std::thread([&service] { serve_network(service); }).detach();
  for (;;) {
    const int port = open_serial();
    if (port < 0) pause();
    Line console(port, port);
    console.write("godwit-tiny ready " + network_facts());
    service.serve(console);
    close(port);
  }
}
