#include "sim/local_sockets.h"

namespace godwit::sim {

LocalListening::LocalListening(const sys::Executor& on, Host& at, std::string where)
    : host(at), path(std::move(where)), executor(on), changed(on) {
  host.sockets_[path] = this;
  host.files().write_cached(path, "");
}

LocalListening::~LocalListening() { close(); }

void LocalListening::close() {
  if (closed) return;
  closed = true;
  const auto found = host.sockets_.find(path);
  if (found != host.sockets_.end() && found->second == this) {
    host.sockets_.erase(found);
    const auto removed = host.files().remove(path);
    static_cast<void>(removed);  // cannot fail here
  }
  for (const auto& each : backlog) each->leave(1);
  backlog.clear();
  changed.notify();
}

namespace {

sys::Task<Result<std::unique_ptr<sys::Stream>>> accept_local(std::shared_ptr<LocalListening> at) {
  while (at->backlog.empty() && !at->closed) co_await at->changed.wait();
  if (at->closed) co_return fail(Errc::cancelled, "accept at {}: closed on this side", at->path);
  auto connection = std::move(at->backlog.front());
  at->backlog.pop_front();
  co_return make_stream(at->executor, std::move(connection), 1, {});
}

class SimLocalListener final : public sys::Listener {
 public:
  explicit SimLocalListener(std::shared_ptr<LocalListening> at) : at_(std::move(at)) {}
  ~SimLocalListener() override { at_->close(); }
  sys::Task<Result<std::unique_ptr<sys::Stream>>> accept() override { return accept_local(at_); }
  void close() override { at_->close(); }

 private:
  std::shared_ptr<LocalListening> at_;
};

}  // namespace

sys::Task<Result<std::unique_ptr<sys::Stream>>> SimLocalSockets::dial(std::string path) {
  const auto found = host_.sockets_.find(path);
  if (found == host_.sockets_.end()) {
    if (host_.files().exists(path)) co_return fail(Errc::unavailable, "connect to {}: nobody listens there", path);
    co_return fail(Errc::unavailable, "connect to {}: ENOENT No such file or directory", path);
  }
  auto connection = Connection::make(host_.world(), host_, host_, true);
  found->second->backlog.push_back(connection);
  found->second->changed.notify();
  co_return make_stream(executor_, std::move(connection), 0, {});
}

Result<std::unique_ptr<sys::Listener>> SimLocalSockets::listen(const std::string& path, unsigned, unsigned owner_uid) {
  if (host_.sockets_.contains(path)) {
    return fail(Errc::conflict, "listen at {}: another process listens there; stop it first", path);
  }
  auto listener = std::make_unique<SimLocalListener>(std::make_shared<LocalListening>(executor_, host_, path));
  if (owner_uid != 0) {
    const auto given = host_.files().change_owner(path, owner_uid);
    if (!given) return pass(given);
  }
  return listener;
}

}  // namespace godwit::sim
