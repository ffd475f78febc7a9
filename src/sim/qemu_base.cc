#include "sim/qemu_base.h"

#include "sim/host.h"

#include <algorithm>

namespace godwit::sim {
namespace {

constexpr std::uint32_t kSector_bytes = 512;
constexpr Seconds kFirstReconnect{1};  // QEMU's, nbd_co_reconnect_loop()
constexpr Seconds kLastReconnect{16};

}  // namespace

// Counted while it lives.
class QemuBase::Reading {
 public:
  explicit Reading(QemuBase& base) : base_(base) { ++base_.reads_; }
  ~Reading() {
    --base_.reads_;
    base_.quiet_.notify();
  }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

 private:
  QemuBase& base_;
};

QemuBase::QemuBase(Process& process) : process_(process), quiet_(process.runtime().executor) {}

void QemuBase::begin(const std::string& node, const std::string& file, const std::string& socket) {
  if (node.empty()) return;
  nodes_[node] = {file, socket};
  backing_ = node;
}

const QemuBase::Node* QemuBase::backing() const {
  const auto found = nodes_.find(backing_);
  return found == nodes_.end() ? nullptr : &found->second;
}

// ---- reads

sys::Task<Result<>> QemuBase::open() {
  const auto* node = backing();
  if (!node || node->socket.empty()) co_return Result<>{};
  const auto socket = node->socket;
  auto client = co_await NbdClient::dial(process_.runtime(), socket, "base");
  if (!client) {
    co_return fail(Errc::io, "-blockdev: Failed to connect to '{}': {}", socket, client.error().message);
  }
  client_ = std::move(*client);
  const auto sector = co_await read(0, kSector_bytes);
  if (!sector) co_return fail(Errc::io, "-blockdev: Could not read '{}'", socket);
  co_return Result<>{};
}

std::uint64_t QemuBase::size_bytes() {
  const auto* node = backing();
  if (!node) return 0;
  if (!node->socket.empty()) return client_ ? client_->size_bytes() : 0;
  const auto file = process_.host().page_files().open(node->file);
  return file ? (*file)->size() : 0;
}

sys::Task<Result<ByteVector>> QemuBase::read(std::uint64_t offset, std::uint32_t length) {
  while (draining_) co_await quiet_.wait();
  const Reading counted(*this);
  const auto* node = backing();
  if (!node) co_return fail(Errc::io, "there is no base");
  if (node->socket.empty()) co_return read_file(node->file, offset, length);
  co_return co_await read_served(node->socket, offset, length);
}

Result<ByteVector> QemuBase::read_file(const std::string& path, std::uint64_t offset, std::uint32_t length) {
  const auto file = process_.host().page_files().open(path);
  if (!file) return pass(file);
  ByteVector bytes(length);
  const auto done = (*file)->read_at(offset, bytes);
  if (!done) return pass(done);
  return bytes;
}

sys::Task<Result<ByteVector>> QemuBase::read_served(std::string socket, std::uint64_t offset, std::uint32_t length) {
  for (Nanos pause = kFirstReconnect;; pause = std::min<Nanos>(pause * 2, kLastReconnect)) {
    if (!client_) {
      auto client = co_await NbdClient::dial(process_.runtime(), socket, "base");
      if (client) client_ = std::move(*client);
    }
    if (const auto client = client_) {
      auto bytes = co_await client->read(offset, length);
      if (bytes || bytes.error().code == Errc::io) co_return std::move(bytes);
      if (client_ == client) client_.reset();
    }
    co_await process_.runtime().clock.sleep_for(pause);
  }
}

// ---- nodes

json::array QemuBase::named_nodes() const {
  json::array out;
  for (const char* name : {"disk0", "disk0-file"}) out.emplace_back(json::object{{"node-name", name}});
  for (const auto& [name, node] : nodes_) out.emplace_back(json::object{{"node-name", name}});
  return out;
}

Result<> QemuBase::add(const std::string& node, const std::string& file) {
  if (nodes_.contains(node)) return fail(Errc::conflict, "Duplicate nodes with node-name='{}'", node);
  nodes_[node] = {file, ""};
  return {};
}

Result<> QemuBase::remove(const std::string& node) {
  if (node == backing_) {
    return fail(Errc::conflict, "Node '{}' is busy: node is used as backing hd of 'disk0'", node);
  }
  const auto found = nodes_.find(node);
  if (found == nodes_.end()) return fail(Errc::conflict, "Failed to find node with node-name='{}'", node);
  if (!found->second.socket.empty()) client_.reset();
  nodes_.erase(found);
  return {};
}

sys::Task<Result<>> QemuBase::reopen(std::string backing) {
  if (!backing.empty() && !nodes_.contains(backing)) {
    co_return fail(Errc::conflict, "Cannot find device='' nor node-name='{}'", backing);
  }
  draining_ = true;
  while (reads_ > 0) co_await quiet_.wait();
  backing_ = std::move(backing);
  draining_ = false;
  quiet_.notify();
  co_return Result<>{};
}

}  // namespace godwit::sim
