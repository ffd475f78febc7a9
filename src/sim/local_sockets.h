// Unix sockets of one simulated host, as one process sees them.
#pragma once

#include "sim/connection.h"
#include "sim/host.h"

#include <deque>

namespace godwit::sim {

// Shared by the listener and a pending accept().
class LocalListening final {
 public:
  LocalListening(const sys::Executor& executor, Host& host, std::string path);
  ~LocalListening();
  LocalListening(const LocalListening&) = delete;
  LocalListening& operator=(const LocalListening&) = delete;
  void close();

  Host& host;
  std::string path;
  std::deque<std::shared_ptr<Connection>> backlog;
  bool closed{false};
  sys::Executor executor;
  sys::Signal changed;
};

class SimLocalSockets final : public sys::LocalSockets {
 public:
  SimLocalSockets(sys::Executor executor, Host& host) : executor_(std::move(executor)), host_(host) {}
  [[nodiscard]] sys::Task<Result<std::unique_ptr<sys::Stream>>> dial(std::string path) override;
  [[nodiscard]] Result<std::unique_ptr<sys::Listener>> listen(const std::string& path, unsigned mode,
                                                              unsigned owner_uid) override;

 private:
  sys::Executor executor_;
  Host& host_;
};

}  // namespace godwit::sim
