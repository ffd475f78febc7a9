// What a simulated QEMU's overlay is on: nodes by their names, and which of them is the backing.
#pragma once

#include "base/result.h"
#include "wire/json.h"

#include <set>
#include <string>

namespace godwit::sim {

namespace json = wire::json;

class QemuBase final {
 public:
  // As on the command line; of an overlay on nothing, both are empty.
  void begin(const std::string& node, const std::string& socket);
  [[nodiscard]] const std::string& socket() const { return socket_; }  // of an NBD server; empty: none

  [[nodiscard]] bool has(const std::string& node) const { return nodes_.contains(node); }
  // Of every node of the disk.
  [[nodiscard]] json::array named_nodes() const;
  [[nodiscard]] Result<> add(const std::string& node);
  [[nodiscard]] Result<> remove(const std::string& node);
  [[nodiscard]] Result<> reopen(const std::string& backing);

 private:
  std::set<std::string> nodes_;
  std::string backing_;
  std::string socket_;
};

}  // namespace godwit::sim
