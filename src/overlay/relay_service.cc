#include "overlay/relay_service.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

void add_metric(std::string& out, std::string_view name, std::string_view kind, std::uint64_t value) {
  out += fmt::format("# TYPE godwit_relay_{0} {1}\ngodwit_relay_{0} {2}\n", name, kind, value);
}

// Datagrams that came side by side and go to one host leave as one packet again.
void add_datagram(std::vector<sys::OutPacket>& packets, const RelaySend& send) {
  if (!packets.empty()) {
    auto& last = packets.back();
    const auto each = last.segment == 0 ? last.bytes.size() : last.segment;
    const auto together = last.bytes.size() + send.bytes.size();
    const bool beside = last.peer == send.to && last.bytes.data() + last.bytes.size() == send.bytes.data();
    if (beside && last.bytes.size() % each == 0 && send.bytes.size() <= each && together <= sys::kMostSegmentBytes &&
        together <= each * sys::kMostSegments) {
      last.bytes = {last.bytes.data(), together};
      last.segment = each;
      return;
    }
  }
  packets.push_back({0, send.to, send.bytes});
}

}  // namespace

RelayService::RelayService(const sys::Executor& executor, sys::Clock& clock, sys::PacketIo& packets, Relay& relay,
                           Log log)
    : executor_(executor),
      clock_(clock),
      packets_(packets),
      relay_(relay),
      log_(std::move(log)),
      earlier_(executor),
      gate_(executor) {}

RelayService::~RelayService() = default;

void RelayService::start() {
  gate_.spawn(move_packets());
  gate_.spawn(keep_time());
}

sys::Task<void> RelayService::stop() {
  co_await gate_.close();
  connections_.clear();
}

// ---- UDP

sys::Task<void> RelayService::move_packets() {
  for (;;) {
    const auto readable = co_await packets_.wait_readable();
    if (!readable) {
      log_.error("{}", readable.error().message);
      co_return;
    }
    const auto now = clock_.now();
    for (const auto& each : packets_.receive()) {
      if (is_relayed(each.peer)) continue;  // a source that looks like one of our connections is nobody's
      auto rest = each.bytes;
      while (!rest.empty()) {
        const auto size = each.segment == 0 ? rest.size() : std::min(each.segment, rest.size());
        relay_.on_datagram(now, each.peer, rest.first(size), out_);
        rest = rest.subspan(size);
      }
    }
    flush();
  }
}

void RelayService::flush() {
  sending_.clear();
  for (const auto& each : out_.sends) {
    const auto relayed = relayed_of(each.to);
    if (!relayed) {
      add_datagram(sending_, each);
    } else if (relayed->kind == RelayedKind::connection) {
      to_connection(relayed->number, each.bytes);
    }
  }
  if (!sending_.empty()) packets_.send(sending_);
  out_.clear();
  const auto next = relay_.next_deadline();
  if (next && *next < armed_) earlier_.notify();
}

sys::Task<void> RelayService::keep_time() {
  for (;;) {
    relay_.poll(clock_.now(), out_);
    armed_ = TimePoint::min();  // flush() needn't wake us
    flush();
    armed_ = relay_.next_deadline().value_or(TimePoint::max());
    if (armed_ == TimePoint::max()) {
      co_await earlier_.wait();
    } else {
      co_await earlier_.wait_until(clock_, armed_);
    }
  }
}

// ---- TCP

void RelayService::serve(std::unique_ptr<sys::Stream> stream) {
  if (connections_.size() >= kMostConnections) {
    ++counters_.turned_away;
    return;
  }
  ++counters_.connections;
  auto connection = std::make_shared<Connection>(++last_connection_, executor_, std::move(stream));
  connections_[connection->number] = connection;
  gate_.spawn(read(connection));
  gate_.spawn(write(connection));
}

sys::Task<void> RelayService::read(std::shared_ptr<Connection> connection) {
  const auto from = relayed_endpoint({RelayedKind::connection, connection->number});
  ByteVector datagram;
  for (;;) {
    auto reading = connection->datagrams.read(datagram);
    const auto got = co_await sys::within(clock_, kConnectionIdle, "relay's client", std::move(reading));
    if (!got) {
      log_.debug("connection {}: {}", connection->number, got.error().message);
      break;
    }
    relay_.on_datagram(clock_.now(), from, datagram, out_);
    flush();
  }
  connection->datagrams.close();
  connections_.erase(connection->number);
  relay_.on_closed(clock_.now(), from, out_);
  flush();
}

sys::Task<void> RelayService::write(std::shared_ptr<Connection> connection) {
  co_await connection->datagrams.write_all();
}

void RelayService::to_connection(std::uint32_t number, ByteView datagram) {
  const auto at = connections_.find(number);
  if (at != connections_.end() && !at->second->datagrams.post(datagram)) ++counters_.queue_full;
}

std::string RelayService::metrics() const {
  std::string out;
  const auto& core = relay_.counters();
  add_metric(out, "clients", "gauge", relay_.clients());
  add_metric(out, "channels", "gauge", relay_.channels());
  add_metric(out, "connections", "gauge", connections_.size());
  add_metric(out, "connections_total", "counter", counters_.connections);
  add_metric(out, "connections_turned_away_total", "counter", counters_.turned_away);
  add_metric(out, "connection_queue_full_total", "counter", counters_.queue_full);
  add_metric(out, "carried_datagrams_total", "counter", core.carried_datagrams);
  add_metric(out, "carried_bytes_total", "counter", core.carried_bytes);
  add_metric(out, "no_channel_total", "counter", core.no_channel);
  add_metric(out, "over_quota_total", "counter", core.over_quota);
  add_metric(out, "refused_total", "counter", core.refused);
  add_metric(out, "full_total", "counter", core.full);
  add_metric(out, "malformed_total", "counter", core.malformed);
  add_metric(out, "udp_refused_total", "counter", packets_.counts().refused);
  return out;
}

}  // namespace godwit::overlay
