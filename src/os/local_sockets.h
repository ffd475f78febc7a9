// Unix sockets of this host.
#pragma once

#include "os/socket.h"
#include "sys/stream.h"

namespace godwit::os {

class SystemLocalSockets final : public sys::LocalSockets {
 public:
  explicit SystemLocalSockets(sys::Executor executor) : executor_(std::move(executor)) {}

  // Errors: not_found (no such file), unavailable (nobody listens), invalid_argument (path too long).
  [[nodiscard]] sys::Task<Result<std::unique_ptr<sys::Stream>>> dial(std::string path) override;
  // The file appears with its owner and mode already right. Errors: conflict (somebody listens there now, or the path
  // is no socket). Closing the listener removes the file.
  [[nodiscard]] Result<std::unique_ptr<sys::Listener>> listen(const std::string& path, unsigned mode,
                                                              unsigned owner_uid) override;

 private:
  sys::Executor executor_;
};

// A listening, non-blocking socket at `path`, as SystemLocalSockets::listen() says.
[[nodiscard]] Result<Descriptor> listen_local(const std::string& path, unsigned mode, unsigned owner_uid);
[[nodiscard]] sys::Task<Result<Socket>> dial_local(std::string path);

}  // namespace godwit::os
