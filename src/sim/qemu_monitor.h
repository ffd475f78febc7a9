// The monitor of a simulated QEMU: QMP on a unix socket, as docs/formats/qemu-migration-control.md has it recorded.
#pragma once

#include "sys/runtime.h"
#include "wire/json.h"

#include <deque>
#include <functional>
#include <memory>
#include <string>

namespace godwit::sim {

namespace json = wire::json;

// QEMU's main loop, as far as others notice it: while it is held, no monitor is answered.
class MainLoop final {
 public:
  explicit MainLoop(const sys::Executor& executor) : freed_(executor) {}
  [[nodiscard]] sys::Task<void> wait_free();

  class Hold final {
   public:
    explicit Hold(MainLoop& loop) : loop_(loop) { ++loop_.holds_; }
    ~Hold() {
      if (--loop_.holds_ == 0) loop_.freed_.notify();
    }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    MainLoop& loop_;
  };

 private:
  int holds_{0};
  sys::Signal freed_;
};

// Serves one client at a time: the next gets its greeting when the first is gone. Events of the time in between are
// lost. Errors of commands: Errc::not_found is told as DeviceNotActive, unsupported as CommandNotFound, the rest as
// GenericError.
class QemuMonitor final {
 public:
  using Execute = std::function<sys::Task<Result<json::value>>(std::string command, json::object arguments)>;
  QemuMonitor(sys::Runtime& runtime, MainLoop& loop, Execute execute);

  [[nodiscard]] Result<> open(const std::string& path);
  void event(const std::string& name, json::object data);

 private:
  struct Client;
  [[nodiscard]] sys::Task<void> serve(std::unique_ptr<sys::Listener> listener);
  [[nodiscard]] sys::Task<void> read(std::shared_ptr<Client> client);
  [[nodiscard]] static sys::Task<void> write(std::shared_ptr<Client> client);
  [[nodiscard]] sys::Task<json::object> answer(Client& client, std::string line);
  static void send(Client& client, const json::object& message);
  [[nodiscard]] json::object timestamp() const;

  sys::Runtime& runtime_;
  MainLoop& loop_;
  Execute execute_;
  std::shared_ptr<Client> client_;  // shared with its writer
  sys::Gate gate_;
};

}  // namespace godwit::sim
