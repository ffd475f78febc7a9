// The disk of one instance while pieces of its image are still missing: QEMU reads it here, by NBD over a unix socket.
// What is here is read from the image's own file; for the rest the agent is asked, and the read answered when it has
// come. Nothing fails because the agent is away, or a piece late: the read waits. docs/protocols/disk-server.md.
//
// A process of its own ranges it, so that QEMU outlives the agent. Its client is a guest's QEMU, and hostile.
#pragma once

#include "image/disk_pieces.h"
#include "sys/runtime.h"

#include <memory>
#include <string>

namespace godwit::image {

inline constexpr const char* kDiskExport = "base";
inline constexpr std::size_t kDiskClients = 4;                 // at a time; QEMU is one
inline constexpr std::size_t kDiskReads = 64;                  // of one client, that wait; QEMU has 16
inline constexpr std::size_t kDiskAnswers_bytes = 4UL << 20U;  // of one client, in memory
inline constexpr Seconds kDiskLonely{60};                      // without a client: QEMU has ended

struct DiskServerOptions {
  std::string file;    // raw, as long as the disk; sparse where pieces are missing
  std::string socket;  // where QEMU dials
  std::string desk;    // where the agent listens: image/piece_desk.h
};

class DiskServer final {
 public:
  DiskServer(sys::Runtime runtime, DiskServerOptions options);
  ~DiskServer();
  DiskServer(const DiskServer&) = delete;
  DiskServer& operator=(const DiskServer&) = delete;

  // Errors: not_found, invalid_argument (the file is longer than an image can be), io, conflict (another serves there).
  [[nodiscard]] Result<> start();
  // Returns when no client has been there for kDiskLonely.
  [[nodiscard]] sys::Task<void> wait_lonely();
  [[nodiscard]] sys::Task<void> stop();

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with its coroutines, which may unwind after it
};

}  // namespace godwit::image
