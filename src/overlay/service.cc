#include "overlay/service.h"

#include "overlay/switch_metrics.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace godwit::overlay {
namespace {

constexpr std::size_t kStateLimit = std::size_t{16} << 20U;
constexpr unsigned kRoundsATurn = 8;  // batches before timers and the control socket get a turn
constexpr Millis kSettle{10};         // links change in bursts
constexpr Millis kRetryDevices{500};
constexpr Seconds kCheckDevices{10};
constexpr Millis kBetweenSaves{200};
constexpr Millis kCaptureEvery{20};            // what was captured is written so often
constexpr Seconds kCaptureStatisticsEvery{1};  // and what was counted; it shows that the reader is there

std::string path_in(const std::string& directory) { return directory + "/switch.json"; }

}  // namespace

// An announcement that a connection waits for; lives in the frame of answer_announce().
struct Service::Waiting {
  explicit Waiting(const sys::Executor& executor) : done(executor) {}
  sys::Signal done;
  std::optional<Announced> announced;
};

Result<std::optional<SavedState>> load_state(sys::Files& files, const std::string& directory) {
  if (!files.exists(path_in(directory))) return std::nullopt;
  const auto text = files.read(path_in(directory), kStateLimit);
  if (!text) return pass(text);
  auto state = wire::decode<SavedState>(*text, kStateLimit);
  if (!state) return fail(state, "switch state " + path_in(directory));
  return std::move(*state);
}

Service::Service(ServiceParts parts, std::string state_directory)
    : parts_(std::move(parts)),
      state_path_(path_in(state_directory)),
      core_(parts_.packets.local(), parts_.random, parts_.seal, [this] { return parts_.clock.wall_now(); }),
      captures_(core_.segments()),
      devices_(core_, parts_.packets, parts_.links, parts_.log),
      out_(&parts_.seal),
      earlier_(parts_.executor),
      devices_changed_(parts_.executor),
      state_changed_(parts_.executor),
      gate_(parts_.executor) {}

Service::~Service() = default;

Result<> Service::start(const std::string& control_path, const std::optional<SavedState>& saved) {
  auto listener = parts_.local.listen(control_path, 0600, 0);
  if (!listener) return pass(listener);
  if (saved) {
    const auto configured = core_.configure(parts_.clock.now(), saved->config);
    if (!configured) return fail(configured, "switch state " + state_path_);
    core_.announce_again(parts_.clock.now());
    devices_.reconcile(parts_.clock.now());
    parts_.log.info("carrying on with {} networks from {}", saved->config.networks.size(), state_path_);
  }
  const auto kept = save();  // the address of the socket, above all
  if (!kept) return kept;
  auto handler = [this](wire::SwitchRequest request) { return answer(std::move(request)); };
  auto capture = [this](wire::SwitchRequest request, sys::Stream& stream) {
    return serve_capture(std::move(request), stream);
  };
  control_ = std::make_unique<ControlServer>(parts_.executor, parts_.clock, std::move(*listener), std::move(handler),
                                             std::move(capture), parts_.log);
  control_->start();
  gate_.spawn(move_packets());
  gate_.spawn(keep_time());
  gate_.spawn(watch_links());
  gate_.spawn(keep_devices());
  gate_.spawn(keep_state());
  for (auto* link : parts_.relay_links) {
    link->start([this](const auto& from, ByteSpan datagram) { on_link(from, datagram); }, [this] { poll(); });
  }
  return {};
}

sys::Task<void> Service::stop() {
  if (control_) co_await control_->stop();
  for (auto* link : parts_.relay_links) co_await link->stop();
  co_await gate_.close();
}

// The way of a packet: a batch in, through the core, a batch out.
sys::Task<void> Service::move_packets() {
  unsigned rounds = 0;
  for (;;) {
    const auto batch = parts_.packets.receive();
    if (batch.empty()) {
      rounds = 0;
      const auto ready = co_await parts_.packets.wait_readable();
      if (ready) continue;
      parts_.log.error("{}: no packet moves any more", ready.error().message);
      co_return;
    }
    const auto now = parts_.clock.now();
    for (const auto& packet : batch) {
      if (packet.port == 0 && is_relayed(packet.peer)) continue;  // no network carries those: it is forged
      if (captures_.any()) captures_.came(now, packet);
      core_.on_packet(now, packet, out_);
      if (out_.crowded()) flush();
    }
    flush();
    follow_up();
    if (++rounds % kRoundsATurn == 0) co_await boost::asio::post(parts_.executor, boost::asio::use_awaitable);
  }
}

void Service::flush() {
  const auto now = parts_.clock.now();
  core_.seal(now, out_);
  if (captures_.any()) captures_.goes(now, out_.packets());
  if (!out_.packets().empty()) parts_.packets.send(out_.packets());
  for (const auto& each : out_.linked()) {
    const auto link = std::ranges::find(parts_.relay_links, relayed_of(each.peer)->relay, &RelayLink::relay);
    if (link != parts_.relay_links.end()) (*link)->send(each);
  }
  out_.clear();
  core_.end_batch();
}

void Service::on_link(const sys::UdpEndpoint& from, ByteSpan datagram) {
  core_.on_packet(parts_.clock.now(), {0, from, datagram, {}, 0}, out_);
  flush();
  follow_up();
}

void Service::poll() {
  core_.poll(parts_.clock.now(), out_);
  flush();
  follow_up();
}

void Service::follow_up() {
  for (const auto& done : core_.take_announced()) {
    const auto found = announcing_.find(done.ticket);
    if (found == announcing_.end()) continue;
    found->second->announced = done;
    found->second->done.notify();
  }
  if (core_.next_deadline().value_or(TimePoint::max()) < armed_) earlier_.notify();
  if (core_.generation() != saved_generation_) state_changed_.notify();
  if (core_.take_lans_changed()) devices_changed_.notify();
  for (auto* link : parts_.relay_links) link->attend();
}

sys::Task<void> Service::keep_time() {
  for (;;) {
    poll();
    // Far away is not never: Asio's timers can't take the end of time.
    armed_ = std::min(core_.next_deadline().value_or(TimePoint::max()), parts_.clock.now() + kCheckDevices);
    co_await earlier_.wait_until(parts_.clock, armed_);
  }
}

sys::Task<void> Service::keep_devices() {
  for (;;) {
    const bool all = devices_.reconcile(parts_.clock.now());
    poll();  // a LAN that has come hears who is where
    const auto again = parts_.clock.now() + (all ? Millis(kCheckDevices) : kRetryDevices);
    co_await devices_changed_.wait_until(parts_.clock, again);
    co_await parts_.clock.sleep_for(kSettle);
  }
}

sys::Task<void> Service::watch_links() {
  for (;;) {
    const auto changed = co_await parts_.links.wait_changed();
    if (!changed) {
      parts_.log.warn("{}: devices are looked at every {} s only", changed.error().message, kCheckDevices.count());
      co_return;
    }
    devices_changed_.notify();
  }
}

// What was learned from peers or claimed: at once, and not at each of a hundred announcements.
sys::Task<void> Service::keep_state() {
  for (;;) {
    if (core_.generation() == saved_generation_) {
      co_await state_changed_.wait();
      continue;
    }
    const auto saved = save();
    if (!saved) parts_.log.warn("{}", saved.error().message);
    co_await parts_.clock.sleep_for(kBetweenSaves);
  }
}

Result<> Service::save() {
  const auto local = parts_.packets.local();
  const auto generation = core_.generation();
  const auto text = wire::encode(SavedState{sys::ip_to_string(local), local.port, core_.state()});
  const auto written = parts_.files.write_atomic(state_path_, text, 0600);
  if (!written) return fail(written, "keep the switch's state");
  saved_generation_ = generation;
  return {};
}

sys::Task<wire::SwitchReply> Service::answer(wire::SwitchRequest request) {
  wire::SwitchReply reply;
  const auto local = parts_.packets.local();
  reply.overlay_ip = sys::ip_to_string(local);
  reply.overlay_port = local.port;
  reply.overlay_key = to_hex(parts_.seal.key());
  switch (request.op) {
    case wire::SwitchOp::config: {
      const auto configured = configure(request.config, request.leases);
      if (!configured) reply.error = configured.error().message;
      break;
    }
    case wire::SwitchOp::announce: co_await answer_announce(request.announce, reply); break;
    case wire::SwitchOp::hold:
    case wire::SwitchOp::release: {
      const auto now = parts_.clock.now();
      const auto done =
          request.op == wire::SwitchOp::hold ? core_.hold(now, request.hold) : core_.release(now, request.hold);
      if (!done) reply.error = done.error().message;
      poll();
      break;
    }
    case wire::SwitchOp::lease:
      core_.lease(parts_.clock.now(), request.leases);
      poll();
      break;
    case wire::SwitchOp::locations: reply.networks = core_.networks(); break;
    case wire::SwitchOp::stats: add_stats(reply); break;
    case wire::SwitchOp::capture: break;  // has its connection for itself: serve_capture()
    case wire::SwitchOp::observe: reply.observation = core_.observe(parts_.clock.now()); break;
  }
  if (core_.host_network().handle() != 0) reply.host_address = core_.host_network().address();
  co_return reply;
}

// Devices that are not wanted any more go before the new state is kept: after a crash in between, the old state makes
// them again and the agent, which got no answer, repeats itself.
Result<> Service::configure(const wire::SwitchConfig& config, const std::vector<wire::SwitchLease>& leases) {
  const auto configured = core_.configure(parts_.clock.now(), config);
  if (!configured) return configured;
  core_.lease(parts_.clock.now(), leases);
  devices_.reconcile(parts_.clock.now());
  devices_changed_.notify();
  poll();
  return save();
}

sys::Task<void> Service::answer_announce(const wire::SwitchAnnounce& announce, wire::SwitchReply& reply) {
  Waiting waiting(parts_.executor);
  const auto ticket = next_ticket_++;
  const auto started = core_.announce(parts_.clock.now(), announce, ticket);
  if (!started) {
    reply.error = started.error().message;
    co_return;
  }
  struct Registered {
    std::map<std::uint64_t, Waiting*>& map;
    std::uint64_t ticket;
    ~Registered() { map.erase(ticket); }
  } const registered{announcing_, ticket};
  announcing_[ticket] = &waiting;
  poll();
  while (!waiting.announced) co_await waiting.done.wait();
  reply.waited_ms = to_ms(waiting.announced->waited);
  reply.acknowledged = waiting.announced->acknowledged;
  reply.peers = waiting.announced->peers;
}

sys::Task<void> Service::serve_capture(wire::SwitchRequest request, sys::Stream& stream) {
  wire::SwitchReply reply;
  reply.id = request.id;
  const auto started = captures_.start(parts_.clock.now(), parts_.clock.wall_now(), request.capture);
  if (!started) reply.error = started.error().message;
  struct Registered {
    Captures& captures;
    const Capture* capture;
    ~Registered() { captures.stop(capture); }
  } const registered{captures_, started ? *started : nullptr};
  const auto text = wire::encode(reply) + "\n";
  auto written = co_await stream.write(as_bytes(text));
  auto next_statistics = parts_.clock.now();
  while (started && written) {
    const auto now = parts_.clock.now();
    if (now >= next_statistics) {
      (*started)->add_statistics(now);
      next_statistics = now + kCaptureStatisticsEvery;
    }
    const auto bytes = (*started)->take();
    if (!bytes.empty()) written = co_await stream.write(bytes);
    co_await parts_.clock.sleep_for(kCaptureEvery);
  }
}

std::string Service::metrics() {
  return switch_metrics(core_.counters(), parts_.packets.counts(), core_.observe(parts_.clock.now()),
                        [this](std::uint32_t vni) { return core_.network_of(vni); });
}

void Service::add_stats(wire::SwitchReply& reply) const {
  for (const auto& [pair, traffic] : core_.counters().pairs()) {
    reply.pairs.push_back({core_.network_of(pair.vni), to_string(pair.source), to_string(pair.destination),
                           traffic.frames, traffic.bytes});
  }
  boost::mp11::mp_for_each<boost::describe::describe_enumerators<Drop>>([&](auto reason) {
    const auto frames = core_.counters().drops(reason.value);
    if (frames != 0) reply.drops.push_back({reason.name, frames});
  });
  const auto counts = parts_.packets.counts();
  if (counts.refused != 0) reply.drops.push_back({"refused_by_kernel", counts.refused});
  if (counts.truncated != 0) reply.drops.push_back({"truncated", counts.truncated});
}

}  // namespace godwit::overlay
