// The base disk of one instance while its image is on its way to this host: the agent's desk and the instance's disk
// server (docs/protocols/disk-server.md).
#pragma once

#include "image/disk_server_process.h"
#include "image/piece_desk.h"
#include "sys/runtime.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace godwit::agent {

// A disk of which pieces are missing.
struct PartialDisk {
  std::string file;
  std::uint64_t bytes{0};
  std::uint64_t first_piece{0};  // in the image
  std::shared_ptr<image::WatchedPieces> pieces;
};

class ServedBase final {
 public:
  struct Options {
    image::DiskServerProgram program;
    std::string directory;  // the instance's
    unsigned uid{0};
  };
  // `want`: of the image, as in PieceDesk. `ended`: the server has, without being asked to.
  ServedBase(sys::Runtime& runtime, Options options, image::PieceDesk::Want want, std::function<void()> ended);
  ~ServedBase();
  ServedBase(const ServedBase&) = delete;
  ServedBase& operator=(const ServedBase&) = delete;

  // The desk answers and the server serves when it returns, the one of an earlier agent or a new one. Idempotent.
  // Errors: those of ensure_disk_server(), and of listening.
  [[nodiscard]] sys::Task<Result<>> ensure(PartialDisk disk);
  // Neither is there when it returns, whoever has started them. Nothing happens where that is known. Errors: io.
  [[nodiscard]] sys::Task<Result<>> end();
  // The desk ends; the server goes on, and its QEMU's reads of what is missing wait.
  [[nodiscard]] sys::Task<void> let_go();

  [[nodiscard]] bool active() const { return desk_ != nullptr; }
  // Pieces of the disk in the order in which they were first read, as far as that is known.
  [[nodiscard]] std::vector<std::uint32_t> touched() const;

 private:
  [[nodiscard]] sys::Task<void> watch(sys::ProcessId process);

  sys::Runtime& runtime_;
  Options options_;
  image::PieceDesk::Want want_;
  std::function<void()> ended_;
  std::unique_ptr<image::PieceDesk> desk_;
  sys::ProcessId watched_{};
  TimePoint started_at_{};
  bool may_be_there_{true};          // a server
  std::unique_ptr<sys::Gate> gate_;  // while a server is watched
};

}  // namespace godwit::agent
