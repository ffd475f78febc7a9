#include "sim/connection.h"

#include "sim/host.h"

#include <algorithm>

namespace godwit::sim {
namespace {

constexpr std::size_t kLocalWindow = 128UL * 1024;
constexpr std::size_t kSegment = 64UL * 1024;

constexpr int other(int side) { return 1 - side; }

}  // namespace

std::shared_ptr<Connection> Connection::make(World& world, Host& dialer, Host& listener, bool local) {
  return std::shared_ptr<Connection>(new Connection(world, dialer, listener, local));
}

Connection::Connection(World& world, Host& dialer, Host& listener, bool local)
    : world_(world), hosts_{&dialer, &listener}, local_(local) {
  if (local_) return;
  id_ = world_.network().next_connection_++;
  world_.network().connections_[id_] = this;
}

Connection::~Connection() {
  if (!local_) world_.network().connections_.erase(id_);
}

bool Connection::cut() const { return !local_ && world_.network().is_cut(*hosts_[0], *hosts_[1]); }

void Connection::wake(int side) {
  if (!ends_[side]) return;
  ends_[side]->changed.notify();
  if (processes_[side]) {
    processes_[side]->touch();
  } else {
    world_.touch_all();
  }
}

std::size_t Connection::send(int side, ByteView bytes) {
  Flow& flow = flows_[other(side)];
  const std::size_t window = local_ ? kLocalWindow : world_.network().window_bytes(host_of(side), host_of(other(side)));
  const std::size_t held = flow.flying_bytes + flow.arrived.size() - flow.taken;
  if (held >= window) return 0;
  const auto count = std::min({bytes.size(), window - held, kSegment});
  const auto part = bytes.first(count);
  launch(other(side), Segment{{}, ByteVector(part.begin(), part.end()), false});
  return count;
}

void Connection::send_end(int side) { launch(other(side), Segment{{}, {}, true}); }

void Connection::launch(int to, Segment segment) {
  Flow& flow = flows_[to];
  if (local_) {
    land(to, segment);
    return;
  }
  segment.arrives = world_.network().arrival(host_of(other(to)), host_of(to), segment.bytes.size());
  flow.flying_bytes += segment.bytes.size();
  flow.flying.push_back(std::move(segment));
  if (flow.flying.size() == 1 && !flow.stalled) schedule(to, flow.flying.front().arrives);
}

void Connection::schedule(int to, TimePoint when) {
  world_.at_quietly(when, [weak = weak_from_this(), to] {
    if (const auto self = weak.lock()) self->arrive(to);
  });
}

void Connection::arrive(int to) {
  Flow& flow = flows_[to];
  if (flow.flying.empty() || flow.stalled) return;
  if (cut()) {
    flow.stalled = true;
    return;
  }
  Segment segment = std::move(flow.flying.front());
  flow.flying.pop_front();
  flow.flying_bytes -= segment.bytes.size();
  land(to, segment);
  if (!flow.flying.empty()) schedule(to, std::max(flow.flying.front().arrives, world_.now()));
}

void Connection::land(int to, Segment& segment) {
  Flow& flow = flows_[to];
  if (flow.refused) {
    if (!segment.end)
      break_later(other(to), local_ ? Nanos{} : world_.network().delay(host_of(to), host_of(other(to))));
    return;
  }
  append(flow.arrived, segment.bytes);
  flow.ended = flow.ended || segment.end;
  wake(to);
}

std::size_t Connection::take(int side, ByteSpan into) {
  Flow& flow = flows_[side];
  const auto count = std::min(into.size(), flow.arrived.size() - flow.taken);
  std::copy_n(flow.arrived.begin() + static_cast<std::ptrdiff_t>(flow.taken), count, into.begin());
  flow.taken += count;
  if (flow.taken == flow.arrived.size()) {
    flow.arrived.clear();
    flow.taken = 0;
  }
  if (count > 0) wake(other(side));
  return count;
}

void Connection::leave(int side) {
  ends_[side] = nullptr;
  Flow& incoming = flows_[side];
  incoming.refused = true;
  if (host_of(side).is_dark()) {
    break_later(other(side), kUnacknowledged);
    return;
  }
  const bool unread = incoming.arrived.size() > incoming.taken;
  send_end(side);
  if (unread) break_later(other(side), local_ ? Nanos{} : world_.network().delay(host_of(side), host_of(other(side))));
}

void Connection::break_later(int side, Nanos after) {
  if (after == Nanos{}) {
    break_now(side);
    return;
  }
  world_.at_quietly(world_.now() + after, [weak = weak_from_this(), side] {
    if (const auto self = weak.lock()) self->break_now(side);
  });
}

void Connection::break_now(int side) {
  flows_[side].broken = true;
  wake(side);
}

void Connection::on_cut() {
  if (!cut()) return;
  const auto epoch = ++cut_epoch_;
  world_.at_quietly(world_.now() + kUnacknowledged, [weak = weak_from_this(), epoch] {
    const auto self = weak.lock();
    if (!self || self->cut_epoch_ != epoch || !self->cut()) return;
    self->break_now(0);
    self->break_now(1);
  });
}

void Connection::on_heal() {
  if (cut()) return;
  ++cut_epoch_;
  for (const int to : {0, 1}) {
    if (!flows_[to].stalled) continue;
    flows_[to].stalled = false;
    schedule(to, world_.now() + kRetransmit);
  }
}

End::End(const sys::Executor& executor, std::shared_ptr<Connection> joined, int which, Process* process)
    : connection(std::move(joined)), side(which), changed(executor) {
  connection->join(side, this, process);
}

End::~End() { close(); }

void End::close() {
  if (closed) return;
  closed = true;
  connection->leave(side);
  changed.notify();
}

namespace {

sys::Task<Result<std::size_t>> read_end(std::shared_ptr<End> end, ByteSpan into) {
  for (;;) {
    if (end->closed) co_return fail(Errc::cancelled, "read: closed on this side");
    if (const auto count = end->connection->take(end->side, into); count > 0) co_return count;
    if (end->connection->broken(end->side)) co_return fail(Errc::io, "read: ECONNRESET Connection reset by peer");
    if (end->connection->ended(end->side)) co_return fail(Errc::closed, "read: closed by the other side");
    co_await end->changed.wait();
  }
}

sys::Task<Result<>> write_end(std::shared_ptr<End> end, ByteView bytes) {
  for (;;) {
    if (end->closed || end->write_ended) co_return fail(Errc::cancelled, "write: closed on this side");
    if (end->connection->broken(end->side)) co_return fail(Errc::io, "write: EPIPE Broken pipe");
    if (bytes.empty()) co_return Result<>{};
    const auto count = end->connection->send(end->side, bytes);
    bytes = bytes.subspan(count);
    if (count == 0) co_await end->changed.wait();
  }
}

sys::Task<Result<>> end_writing(std::shared_ptr<End> end) {
  if (end->closed) co_return fail(Errc::cancelled, "shut down: closed on this side");
  if (!end->write_ended) end->connection->send_end(end->side);
  end->write_ended = true;
  co_return Result<>{};
}

class SimStream final : public sys::PeerStream {
 public:
  SimStream(const sys::Executor& executor, std::shared_ptr<Connection> connection, int side, sys::PeerIdentity peer,
            Process* process)
      : end_(std::make_shared<End>(executor, std::move(connection), side, process)), peer_(std::move(peer)) {}
  ~SimStream() override { end_->close(); }

  sys::Task<Result<std::size_t>> read_some(ByteSpan into) override { return read_end(end_, into); }
  sys::Task<Result<>> write(ByteView bytes) override { return write_end(end_, bytes); }
  sys::Task<Result<>> shutdown_write() override { return end_writing(end_); }
  void close() override { end_->close(); }
  [[nodiscard]] const sys::PeerIdentity& peer() const override { return peer_; }

 private:
  std::shared_ptr<End> end_;  // pending operations hold it too
  sys::PeerIdentity peer_;
};

}  // namespace

std::unique_ptr<sys::PeerStream> make_stream(const sys::Executor& executor, std::shared_ptr<Connection> connection,
                                             int side, sys::PeerIdentity peer, Process* process) {
  return std::make_unique<SimStream>(executor, std::move(connection), side, std::move(peer), process);
}

}  // namespace godwit::sim
