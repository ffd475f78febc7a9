// Joins the first client of one unix socket with the server at another, and can stop or cut what passes.
#pragma once

#include "sys/runtime.h"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <memory>
#include <string>

namespace godwit::testing {

class Pump {
 public:
  enum class Way : std::uint8_t { there, back };

  [[nodiscard]] static Result<std::unique_ptr<Pump>> open(sys::Runtime& runtime, const std::string& from,
                                                          const std::string& to, unsigned owner_uid) {
    auto listener = runtime.local.listen(from, 0600, owner_uid);
    if (!listener) return pass(listener);
    std::unique_ptr<Pump> pump(new Pump(runtime));
    pump->listener_ = std::move(*listener);
    pump->gate_.spawn(pump->join(to));
    return pump;
  }

  void stall(Way way) { stalled_[static_cast<int>(way)] = true; }
  void stall() {
    stall(Way::there);
    stall(Way::back);
  }
  // From now on each piece takes so long in each direction.
  void delay(Nanos delay) { delay_ = delay; }
  // Closes our end of everything.
  void cut() {
    cut_ = true;
    if (client_) client_->close();
    if (server_) server_->close();
    listener_->close();
    moved_.notify();
  }
  // Returns when both ends are connected.
  [[nodiscard]] sys::Task<void> joined() {
    while (!server_) co_await moved_.wait();
  }
  [[nodiscard]] sys::Task<void> close() {
    cut();
    co_await gate_.close();
  }

 private:
  explicit Pump(sys::Runtime& runtime) : runtime_(runtime), moved_(runtime.executor), gate_(runtime.executor) {}

  sys::Task<void> join(std::string to) {
    auto client = co_await listener_->accept();
    if (!client || cut_) co_return;
    client_ = std::move(*client);
    auto server = co_await runtime_.local.dial(to);
    if (!server || cut_) {
      client_->close();
      co_return;
    }
    server_ = std::move(*server);
    moved_.notify();
    using namespace boost::asio::experimental::awaitable_operators;
    auto both = copy(client_.get(), server_.get(), Way::there) && copy(server_.get(), client_.get(), Way::back);
    co_await std::move(both);
  }

  sys::Task<void> copy(sys::Stream* from, sys::Stream* to, Way way) {
    ByteVector buffer(256UL * 1024);
    for (;;) {
      const auto count = co_await from->read_some(buffer);
      if (!count) break;
      if (delay_ > Nanos{}) co_await runtime_.clock.sleep_for(delay_);
      while (stalled_[static_cast<int>(way)]) co_await moved_.wait();
      const auto written = co_await to->write(ByteView(buffer).first(*count));
      if (!written) break;
    }
    // A stalled way hides also that the other side is gone.
    while (stalled_[static_cast<int>(way)]) co_await moved_.wait();
    from->close();
    to->close();
  }

  sys::Runtime& runtime_;
  std::unique_ptr<sys::Listener> listener_;
  std::unique_ptr<sys::Stream> client_;
  std::unique_ptr<sys::Stream> server_;
  bool cut_{false};
  bool stalled_[2]{false, false};
  Nanos delay_{};
  sys::Signal moved_;
  sys::Gate gate_;
};

}  // namespace godwit::testing
