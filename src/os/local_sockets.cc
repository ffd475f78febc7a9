#include "os/local_sockets.h"

#include "os/awaiting.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <boost/asio/this_coro.hpp>
#include <cerrno>
#include <cstring>

namespace godwit::os {
namespace {

constexpr int kBacklog = 128;

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return fail(Errc::invalid_argument, "unix socket \"{}\": a path has 1 to {} bytes; choose a shorter directory",
                path, sizeof(address.sun_path) - 1);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Descriptor new_socket() { return Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)); }

int connect_to(int socket, const sockaddr_un& address) {
  return ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

// Removes the file that a dead listener left. EAGAIN means a living one with a full queue.
Result<> remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat found{};
  if (::lstat(path.c_str(), &found) != 0) return {};
  if (!S_ISSOCK(found.st_mode)) return fail(Errc::conflict, "listen at {}: another file is there", path);
  const Descriptor probe = new_socket();
  if (!probe) return fail_errno(errno, "open a unix socket");
  const int error = connect_to(probe.get(), address);
  if (error == 0 || error == EAGAIN) {
    return fail(Errc::conflict, "listen at {}: another process listens there; stop it first", path);
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "remove stale socket " + path);
  return {};
}

class LocalListener final : public sys::Listener {
 public:
  LocalListener(const sys::Executor& executor, Descriptor listening, std::string path)
      : path_(std::move(path)), acceptor_(executor, std::move(listening), AF_UNIX, "unix socket " + path_) {
    struct stat made{};
    if (::lstat(path_.c_str(), &made) == 0) inode_ = made.st_ino;
  }
  ~LocalListener() override { LocalListener::close(); }

  sys::Task<Result<std::unique_ptr<sys::Stream>>> accept() override {
    return accepted(acceptor_.accept(), "unix socket " + path_);
  }

  void close() override {
    acceptor_.close();
    struct stat now{};
    if (inode_ != 0 && ::lstat(path_.c_str(), &now) == 0 && now.st_ino == inode_) ::unlink(path_.c_str());
    inode_ = 0;
  }

 private:
  static sys::Task<Result<std::unique_ptr<sys::Stream>>> accepted(sys::Task<Result<Socket>> accept, std::string label) {
    auto socket = co_await std::move(accept);
    if (!socket) co_return pass(socket);
    co_return plain_stream(std::move(*socket), std::move(label));
  }

  std::string path_;
  ino_t inode_{0};  // of the file that we made: a successor's is not ours to remove
  Acceptor acceptor_;
};

sys::Task<Result<std::unique_ptr<sys::Stream>>> dial_stream(std::string path) {
  auto socket = co_await dial_local(path);
  if (!socket) co_return pass(socket);
  co_return plain_stream(std::move(*socket), "unix socket " + path);
}

}  // namespace

Result<Descriptor> listen_local(const std::string& path, unsigned mode, unsigned owner_uid) {
  const auto address = address_of(path);
  if (!address) return pass(address);
  const auto cleared = remove_stale(path, *address);
  if (!cleared) return pass(cleared);
  Descriptor listening = new_socket();
  if (!listening) return fail_errno(errno, "open a unix socket");
  if (::bind(listening.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
    return fail_errno(errno, "listen at " + path);
  }
  // Until listen() nobody can connect, so no one slips in before the owner and mode are right.
  if (owner_uid != 0 && ::lchown(path.c_str(), owner_uid, owner_uid) != 0) {
    return fail_errno(errno, fmt::format("give {} to uid {}", path, owner_uid));
  }
  if (::chmod(path.c_str(), mode) != 0) return fail_errno(errno, "chmod " + path);
  if (::listen(listening.get(), kBacklog) != 0) return fail_errno(errno, "listen at " + path);
  return listening;
}

sys::Task<Result<Socket>> dial_local(std::string path) {
  const auto executor = co_await boost::asio::this_coro::executor;
  const auto address = address_of(path);
  if (!address) co_return pass(address);
  Descriptor socket = new_socket();
  if (!socket) co_return fail_errno(errno, "open a unix socket");
  // Connecting to a unix socket never blocks: it succeeds, or EAGAIN says that the listener's queue is full.
  const int error = connect_to(socket.get(), *address);
  if (error == EAGAIN) co_return fail(Errc::unavailable, "dial unix socket {}: the listener's queue is full", path);
  if (error != 0) co_return fail_errno(error, "dial unix socket " + path);
  co_return adopt_socket(executor, std::move(socket), AF_UNIX);
}

sys::Task<Result<std::unique_ptr<sys::Stream>>> SystemLocalSockets::dial(std::string path) {
  return dial_stream(std::move(path));
}

Result<std::unique_ptr<sys::Listener>> SystemLocalSockets::listen(const std::string& path, unsigned mode,
                                                                  unsigned owner_uid) {
  auto listening = listen_local(path, mode, owner_uid);
  if (!listening) return pass(listening);
  return std::make_unique<LocalListener>(executor_, std::move(*listening), path);
}

}  // namespace godwit::os
