// One NBD client of a disk server, from its greeting to its end. For image/disk_server.cc.
#pragma once

#include "image/disk_pieces.h"
#include "sys/page_file.h"
#include "sys/runtime.h"
#include "wire/nbd_server.h"

#include <functional>
#include <memory>

namespace godwit::image {

// What all clients read.
struct SharedDisk {
  SharedDisk(const sys::Runtime& runtime, std::unique_ptr<sys::PageFile> of, std::function<void()> on_touched)
      : executor(runtime.executor),
        log(runtime.log),
        file(std::move(of)),
        pieces(file->size()),
        touched(std::move(on_touched)),
        came(executor) {}

  sys::Executor executor;
  Log log;
  std::unique_ptr<sys::PageFile> file;
  DiskPieces pieces;
  std::function<void()> touched;  // there may be something to be asked for
  sys::Signal came;               // pieces
};

// Kept by its coroutines.
class DiskClient final {
 public:
  DiskClient(std::shared_ptr<SharedDisk> disk, std::unique_ptr<sys::Stream> stream);

  // Until the client ends, or is hostile; when it returns, no read of it is under way.
  [[nodiscard]] static sys::Task<Result<>> run(std::shared_ptr<DiskClient> self);
  // Its reads end, unanswered.
  void close();

 private:
  class Turn;
  class Reading;
  [[nodiscard]] static sys::Task<Result<>> converse(std::shared_ptr<DiskClient> self);
  [[nodiscard]] static sys::Task<void> read(std::shared_ptr<DiskClient> self, wire::NbdRead wanted,
                                            std::shared_ptr<Reading> reading);
  [[nodiscard]] sys::Task<Result<>> answer(wire::NbdRead wanted);
  [[nodiscard]] sys::Task<Result<>> write(ByteView bytes);

  std::shared_ptr<SharedDisk> disk_;  // shared with the server: reads may unwind after it
  std::unique_ptr<sys::Stream> stream_;
  wire::NbdServer nbd_;
  std::size_t reads_{0};
  std::size_t answers_bytes_{0};
  bool writing_{false};
  bool closed_{false};
  sys::Signal changed_;  // reads_, answers_bytes_, writing_, closed_
  sys::Gate gate_;       // its reads
};

}  // namespace godwit::image
