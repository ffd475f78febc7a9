// Connected and listening sockets of any family on the event loop.
#pragma once

#include "os/descriptor.h"
#include "sys/stream.h"

#include <boost/asio/generic/stream_protocol.hpp>
#include <memory>

namespace godwit::os {

using Socket = boost::asio::generic::stream_protocol::socket;

// Takes a connected, non-blocking descriptor of the address family `family`.
[[nodiscard]] Socket adopt_socket(const sys::Executor& executor, Descriptor connected, int family);

// The socket as a stream, in clear. `label` names it in errors ("unix socket /run/x").
[[nodiscard]] std::unique_ptr<sys::Stream> plain_stream(Socket socket, std::string label);

// A listening socket. Destroying it ends a pending accept() with Errc::cancelled.
class Acceptor {
 public:
  Acceptor(const sys::Executor& executor, Descriptor listening, int family, std::string label);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Connections that died in the queue are skipped; when the process is out of descriptors it waits for some.
  [[nodiscard]] sys::Task<Result<Socket>> accept();
  void close();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with the pending accept(), which may outlive the acceptor
};

}  // namespace godwit::os
