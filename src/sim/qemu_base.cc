#include "sim/qemu_base.h"

namespace godwit::sim {

void QemuBase::begin(const std::string& node, const std::string& socket) {
  if (node.empty()) return;
  nodes_.insert(node);
  backing_ = node;
  socket_ = socket;
}

json::array QemuBase::named_nodes() const {
  json::array out;
  for (const char* name : {"disk0", "disk0-file"}) out.emplace_back(json::object{{"node-name", name}});
  for (const auto& name : nodes_) out.emplace_back(json::object{{"node-name", name}});
  return out;
}

Result<> QemuBase::add(const std::string& node) {
  if (!nodes_.insert(node).second) return fail(Errc::conflict, "Duplicate nodes with node-name='{}'", node);
  return {};
}

Result<> QemuBase::remove(const std::string& node) {
  if (node == backing_) {
    return fail(Errc::conflict, "Node '{}' is busy: node is used as backing hd of 'disk0'", node);
  }
  if (nodes_.erase(node) == 0) return fail(Errc::conflict, "Failed to find node with node-name='{}'", node);
  return {};
}

Result<> QemuBase::reopen(const std::string& backing) {
  if (!backing.empty() && !nodes_.contains(backing)) {
    return fail(Errc::conflict, "Cannot find device='' nor node-name='{}'", backing);
  }
  backing_ = backing;
  return {};
}

}  // namespace godwit::sim
