// What a simulated QEMU's overlay is on: nodes by their names, which of them is the backing, and reads of it: from an
// NBD server over its unix socket, or from a file of the host's.
#pragma once

#include "sim/nbd_client.h"
#include "sim/process.h"
#include "wire/json.h"

#include <map>
#include <memory>
#include <string>

namespace godwit::sim {

namespace json = wire::json;

class QemuBase final {
 public:
  explicit QemuBase(Process& process);

  // As on the command line: `file` or `socket`. Of an overlay on nothing, all are empty.
  void begin(const std::string& node, const std::string& file, const std::string& socket);
  // QEMU dials once when it starts, and reads the first sector. Errors: in QEMU's words.
  [[nodiscard]] sys::Task<Result<>> open();
  // Of the file, or as the server says it; 0 where there is none, or none that can be read here.
  [[nodiscard]] std::uint64_t size_bytes();
  // Waits for a server that is away, as with reconnect-delay. Errors: io.
  [[nodiscard]] sys::Task<Result<ByteVector>> read(std::uint64_t offset, std::uint32_t length);

  [[nodiscard]] bool has(const std::string& node) const { return nodes_.contains(node); }
  // Of every node of the disk.
  [[nodiscard]] json::array named_nodes() const;
  [[nodiscard]] Result<> add(const std::string& node, const std::string& file);
  [[nodiscard]] Result<> remove(const std::string& node);
  // Ends the reads that are under way first, however long that takes.
  [[nodiscard]] sys::Task<Result<>> reopen(std::string backing);

 private:
  class Reading;
  struct Node {
    std::string file;
    std::string socket;
  };
  [[nodiscard]] const Node* backing() const;
  [[nodiscard]] Result<ByteVector> read_file(const std::string& path, std::uint64_t offset, std::uint32_t length);
  [[nodiscard]] sys::Task<Result<ByteVector>> read_served(std::string socket, std::uint64_t offset,
                                                          std::uint32_t length);

  Process& process_;
  std::map<std::string, Node> nodes_;
  std::string backing_;
  std::shared_ptr<NbdClient> client_;  // shared with the reads that wait in it
  int reads_{0};                       // under way
  bool draining_{false};
  sys::Signal quiet_;
};

}  // namespace godwit::sim
