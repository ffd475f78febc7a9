#include "agent/switch_link.h"

#include "sys/lines.h"

#include <tuple>

namespace godwit::agent {
namespace {

constexpr Millis kRedial{100};
constexpr Millis kConfigLimit{10'000};
constexpr Millis kAnnounceLimit{250};  // the switch itself stops at 100 ms
constexpr std::size_t kLineLimit = 4UL * 1024 * 1024;

std::map<std::string, std::uint64_t> lan_leases_in(const wire::SwitchConfig& config) {
  std::map<std::string, std::uint64_t> out;
  for (const auto& each : config.networks) {
    if (each.lan_lease != 0) out[each.network.id] = each.lan_lease;
  }
  return out;
}

}  // namespace

// A request that is under way; lives in the frame of ask().
struct SwitchLink::Waiting {
  explicit Waiting(const sys::Executor& executor) : answered(executor) {}
  sys::Signal answered;
  std::optional<wire::SwitchReply> reply;
  bool lost{false};
};

SwitchLink::SwitchLink(sys::Runtime& runtime, std::string socket_path, std::function<void()> moved)
    : runtime_(runtime),
      socket_path_(std::move(socket_path)),
      moved_(std::move(moved)),
      gate_(runtime.executor),
      changed_(runtime.executor),
      written_(runtime.executor) {}

SwitchLink::~SwitchLink() = default;

void SwitchLink::start() {
  gate_.spawn(run());
  gate_.spawn(send_changes());
}

sys::Task<void> SwitchLink::stop() { co_await gate_.close(); }

void SwitchLink::configure(wire::SwitchConfig config) {
  auto text = wire::encode(config);
  if (text == wanted_text_) return;
  wanted_ = std::move(config);
  wanted_text_ = std::move(text);
  changed_.notify();
}

void SwitchLink::lease(std::vector<wire::SwitchLease> leases) {
  if (leases == leases_) return;
  leases_ = std::move(leases);
  changed_.notify();
}

std::uint64_t SwitchLink::lan_lease_of(const std::string& network) const {
  const auto found = needed_leases_.find(network);
  return found == needed_leases_.end() ? 0 : found->second;
}

sys::Task<void> SwitchLink::run() {
  for (;;) {
    auto stream = co_await runtime_.local.dial(socket_path_);
    if (stream) {
      stream_ = std::move(*stream);
      applied_text_.clear();
      told_leases_.clear();
      changed_.notify();
      const auto ended = co_await read_replies(*stream_);
      runtime_.log.warn("switch at {}: {}", socket_path_, ended.error().message);
      stream_->close();
      // A writer may still be inside the stream: it ends with an error before the stream goes.
      while (writing_) co_await written_.wait();
      stream_.reset();
      for (auto& [id, waiting] : waiting_) {
        waiting->lost = true;
        waiting->answered.notify();
      }
    }
    co_await runtime_.clock.sleep_for(kRedial);
  }
}

sys::Task<Result<>> SwitchLink::read_replies(sys::Stream& stream) {
  sys::LineReader lines(stream, kLineLimit);
  for (;;) {
    const auto line = co_await lines.next();
    if (!line) co_return pass(line);
    auto reply = wire::decode<wire::SwitchReply>(*line, kLineLimit);
    if (!reply) co_return pass(reply);
    take(std::move(*reply));
  }
}

void SwitchLink::take(wire::SwitchReply reply) {
  if (!reply.overlay_ip.empty()) {
    const bool moved = std::tie(overlay_ip_, overlay_port_, overlay_key_, host_address_) !=
                       std::tie(reply.overlay_ip, reply.overlay_port, reply.overlay_key, reply.host_address);
    overlay_ip_ = reply.overlay_ip;
    overlay_port_ = reply.overlay_port;
    overlay_key_ = reply.overlay_key;
    host_address_ = reply.host_address;
    if (moved) moved_();
  }
  const auto found = waiting_.find(reply.id);
  if (found == waiting_.end()) return;
  found->second->reply = std::move(reply);
  found->second->answered.notify();
}

// Writes one request at a time, then waits for its reply.
sys::Task<Result<wire::SwitchReply>> SwitchLink::ask(wire::SwitchRequest request) {
  Waiting waiting(runtime_.executor);
  request.id = next_id_++;
  struct Registered {
    std::map<std::uint64_t, Waiting*>& map;
    std::uint64_t id;
    ~Registered() { map.erase(id); }
  } const registered{waiting_, request.id};
  waiting_[request.id] = &waiting;

  while (writing_) co_await written_.wait();
  if (!stream_) co_return fail(Errc::unavailable, "switch at {}: not connected", socket_path_);
  const auto line = wire::encode(request) + "\n";
  {
    // A line that was cut, by a timeout say, would garble the next one: then the connection starts anew.
    struct Writing {
      SwitchLink& link;
      bool whole{false};
      explicit Writing(SwitchLink& l) : link(l) { link.writing_ = true; }
      ~Writing() {
        if (!whole && link.stream_) link.stream_->close();
        link.writing_ = false;
        link.written_.notify();
      }
    } writing(*this);
    const auto sent = co_await stream_->write(as_bytes(line));
    if (!sent) co_return fail(sent, "switch at " + socket_path_);
    writing.whole = true;
  }
  while (!waiting.reply && !waiting.lost) co_await waiting.answered.wait();
  if (!waiting.reply) co_return fail(Errc::unavailable, "switch at {}: ended before it answered", socket_path_);
  if (!waiting.reply->error.empty()) co_return fail(Errc::internal, "switch: {}", waiting.reply->error);
  co_return std::move(*waiting.reply);
}

sys::Task<void> SwitchLink::send_changes() {
  for (;;) {
    const bool configured = applied_text_ == wanted_text_;
    if (!stream_ || wanted_text_.empty() || (configured && told_leases_ == leases_)) {
      co_await changed_.wait();
      continue;
    }
    wire::SwitchRequest request;
    request.op = configured ? wire::SwitchOp::lease : wire::SwitchOp::config;
    if (!configured) request.config = wanted_;
    request.leases = leases_;
    const auto sending = wanted_text_;
    const auto leases = leases_;
    const auto needed = lan_leases_in(wanted_);
    const auto reply = co_await sys::within(runtime_.clock, kConfigLimit, "switch: config", ask(std::move(request)));
    if (reply) {
      applied_text_ = sending;
      told_leases_ = leases;
      if (std::exchange(needed_leases_, needed) != needed) moved_();
    } else {
      runtime_.log.warn("configure the switch: {}", reply.error().message);
      co_await runtime_.clock.sleep_for(kRedial);
    }
  }
}

sys::Task<Result<wire::SwitchReply>> SwitchLink::announce(wire::SwitchAnnounce announce) {
  wire::SwitchRequest request;
  request.op = wire::SwitchOp::announce;
  request.announce = std::move(announce);
  co_return co_await sys::within(runtime_.clock, kAnnounceLimit, "switch: announce", ask(std::move(request)));
}

sys::Task<Result<wire::SwitchReply>> SwitchLink::hold(wire::SwitchHold which, bool held) {
  wire::SwitchRequest request;
  request.op = held ? wire::SwitchOp::hold : wire::SwitchOp::release;
  request.hold = std::move(which);
  co_return co_await sys::within(runtime_.clock, kAnnounceLimit, "switch: hold", ask(std::move(request)));
}

sys::Task<Result<wire::Observation>> SwitchLink::observe() {
  wire::SwitchRequest request;
  request.op = wire::SwitchOp::observe;
  auto reply = co_await sys::within(runtime_.clock, kAnnounceLimit, "switch: observe", ask(std::move(request)));
  if (!reply) co_return pass(reply);
  if (!reply->observation) co_return fail(Errc::unsupported, "switch: observe: it says nothing (restart it)");
  co_return std::move(*reply->observation);
}

}  // namespace godwit::agent
