// A disk over a socket between two simulated QEMUs. It stands for NBD, and is not: the format is the simulation's own.
// Request: u8 operation, u64 record (0: none), u32 length, data; a write of a record carries 4 KiB. Answer: u8, 1 for
// done. The first request opens, its data is the export's name.
#pragma once

#include "sim/qemu_disk.h"
#include "sys/runtime.h"

#include <functional>
#include <memory>
#include <string>

namespace godwit::sim {

// The client's end. Any number of calls at a time; each waits for those before it.
class NbdTarget final {
 public:
  // Errors: in QEMU's words.
  [[nodiscard]] static sys::Task<Result<std::unique_ptr<NbdTarget>>> open(sys::Runtime& runtime, std::string path,
                                                                          std::string name);
  // `record` 0: bytes of the overlay that are no record.
  [[nodiscard]] sys::Task<Result<>> write(std::uint64_t record, std::size_t size);
  [[nodiscard]] sys::Task<Result<>> flush();
  void close() { stream_->close(); }

 private:
  NbdTarget(sys::Runtime& runtime, std::unique_ptr<sys::Stream> stream)
      : stream_(std::move(stream)), freed_(runtime.executor) {}
  [[nodiscard]] sys::Task<Result<>> exchange(ByteVector request);

  std::unique_ptr<sys::Stream> stream_;
  bool busy_{false};
  bool broken_{false};
  sys::Signal freed_;
};

// The server's end: one client at a time.
class NbdServer final {
 public:
  NbdServer(sys::Runtime& runtime, QemuDisk& disk);

  [[nodiscard]] Result<> start(const std::string& path);
  [[nodiscard]] bool started() const { return gate_ != nullptr; }
  void export_as(std::string name) { export_ = std::move(name); }
  [[nodiscard]] const std::string& exported() const { return export_; }
  // Closes the client's connection too.
  void stop();

 private:
  [[nodiscard]] sys::Task<void> serve(std::shared_ptr<sys::Listener> listener);
  [[nodiscard]] sys::Task<Result<>> serve_one(std::unique_ptr<sys::Stream> client);

  sys::Runtime& runtime_;
  QemuDisk& disk_;
  std::string export_;
  std::shared_ptr<sys::Listener> listener_;  // shared with its pending accept
  std::unique_ptr<sys::Gate> gate_;          // while it is started
};

}  // namespace godwit::sim
