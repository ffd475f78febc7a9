// A sys::PacketDevice whose other end is the test, with an eventfd a queue: what a vhost-user backend's kick would be.
#pragma once

#include "sys/packet.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <vector>

namespace godwit::testing {

class MemoryDevice final : public sys::PacketDevice {
 public:
  explicit MemoryDevice(std::size_t queues) : from_guest_(queues), to_guest_(queues) {
    for (std::size_t i = 0; i < queues; ++i)
      events_.push_back(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC | EFD_SEMAPHORE));
  }
  ~MemoryDevice() override {
    for (const int each : events_) ::close(each);
  }
  MemoryDevice(const MemoryDevice&) = delete;
  MemoryDevice& operator=(const MemoryDevice&) = delete;

  // The guest's side.
  void put(std::size_t queue, ByteVector frame) {
    from_guest_[queue].push_back(std::move(frame));
    EXPECT_EQ(::eventfd_write(events_[queue], 1), 0);
  }
  // The next frame of a queue; empty when there is none.
  ByteVector take(std::size_t queue) {
    if (to_guest_[queue].empty()) return {};
    auto out = std::move(to_guest_[queue].front());
    to_guest_[queue].pop_front();
    return out;
  }
  void unplug() { plugged_ = false; }
  [[nodiscard]] std::size_t waiting(std::size_t queue) const { return from_guest_[queue].size(); }
  [[nodiscard]] std::size_t flushes() const { return flushes_; }

  [[nodiscard]] std::span<const int> queues() const override { return events_; }
  [[nodiscard]] std::optional<sys::DeviceFrame> read(std::size_t queue, ByteSpan room) override {
    auto& waiting = from_guest_[queue];
    eventfd_t one = 0;
    if (waiting.empty() || ::eventfd_read(events_[queue], &one) != 0) return std::nullopt;
    const auto frame = std::move(waiting.front());
    waiting.pop_front();
    std::ranges::copy(frame, room.begin());
    return sys::DeviceFrame{room.first(frame.size()), frame.size(), {}};
  }
  [[nodiscard]] bool write(std::size_t queue, ByteView frame, const sys::Offload&) override {
    if (plugged_) to_guest_[queue].emplace_back(frame.begin(), frame.end());
    return plugged_;
  }
  void flush() override { ++flushes_; }

 private:
  std::vector<int> events_;
  std::vector<std::deque<ByteVector>> from_guest_;
  std::vector<std::deque<ByteVector>> to_guest_;
  bool plugged_{true};
  std::size_t flushes_{0};
};

}  // namespace godwit::testing
