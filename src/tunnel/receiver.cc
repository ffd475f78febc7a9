#include "tunnel/receiver.h"

#include "sys/accepting.h"

#include "tunnel/images.h"
#include <algorithm>
#include <map>

namespace godwit::tunnel {
namespace {

constexpr Seconds kHelloLimit{15};  // a turn at the sending end may take that long
constexpr Seconds kWelcomeLimit{5};
constexpr Millis kDialAgain{20};

// The migration that comes to one guest's sockets, or the last one.
struct Lane {
  std::string peer;
  std::string migration;
  std::shared_ptr<Carrying> carrying;  // shared with the connections
  std::size_t connections{0};
  TimePoint idle_since{};
};

// A connection counts as one of its lane's from before its Welcome to its end.
struct Membership {
  explicit Membership(Lane& of, const sys::Clock& time) : lane(of), clock(time) { ++lane.connections; }
  ~Membership() {
    --lane.connections;
    lane.idle_since = clock.now();
  }
  Membership(const Membership&) = delete;
  Membership& operator=(const Membership&) = delete;
  Lane& lane;
  const sys::Clock& clock;
};

std::string title(const Hello& hello) {
  const std::string name = boost::describe::enum_to_string(hello.channel, "?");
  return hello.channel == Channel::libvirt ? name : fmt::format("{} of guest {}", name, hello.guest);
}

}  // namespace

struct Receiver::Impl {
  Impl(sys::Runtime on, ReceiverConfig with, Encodings usable)
      : runtime(on), config(std::move(with)), encodings(std::move(usable)), gate(runtime.executor) {}

  sys::Task<void> serve(std::unique_ptr<sys::PeerStream> wan);
  sys::Task<Result<>> take(std::unique_ptr<sys::PeerStream>& wan);
  sys::Task<Result<>> take_guest(std::unique_ptr<sys::PeerStream>& wan, Hello hello, std::string path);
  sys::Task<Result<std::unique_ptr<sys::Stream>>> dial(std::string path);
  sys::Task<Result<>> welcome(sys::Stream& wan, const Carrying* carrying);
  Result<Lane*> admit(const Hello& hello, const std::string& peer);
  sys::Task<void> forget();

  sys::Runtime runtime;
  ReceiverConfig config;
  Encodings encodings;
  migrate::PlainEncoding plain;  // libvirt's protocol
  std::map<std::uint32_t, Lane> lanes;
  std::size_t connections{0};
  std::unique_ptr<sys::PeerListener> listener;
  sys::Gate gate;
};

Receiver::Receiver(sys::Runtime runtime, ReceiverConfig config, Encodings encodings)
    : impl_(std::make_unique<Impl>(runtime, std::move(config), std::move(encodings))) {}
Receiver::~Receiver() = default;

Result<std::uint16_t> Receiver::start() {
  auto& my = *impl_;
  auto checked = my.config.sockets.check();
  if (checked) checked = check_tenant(my.config.tenant);
  if (!checked) return pass(checked);
  auto listener = my.runtime.peers.listen(my.config.host, my.config.port);
  if (!listener) return pass(listener);
  my.listener = std::move(*listener);
  auto take = [&my](std::unique_ptr<sys::PeerStream> wan) {
    if (my.connections < kConnections) my.gate.spawn(my.serve(std::move(wan)));
  };
  my.gate.spawn(sys::accept_each(*my.listener, my.runtime.clock, my.runtime.log, std::move(take)));
  my.gate.spawn(my.forget());
  return my.listener->port();
}

sys::Task<void> Receiver::stop() {
  if (impl_->listener) impl_->listener->close();
  co_await impl_->gate.close();
}

sys::Task<void> Receiver::Impl::serve(std::unique_ptr<sys::PeerStream> wan) {
  ++connections;
  const auto peer = wan->peer().name;
  const auto taken = co_await take(wan);
  --connections;
  if (taken) co_return;
  runtime.log.warn("from {}: {}", peer, taken.error().message);
  if (!wan) co_return;  // it had begun
  Welcome refusal;
  refusal.version = kProtocolVersion;
  refusal.code = to_string(taken.error().code);
  refusal.error = taken.error().message;
  const auto bytes = migrate::pack(refusal);
  (void)co_await sys::within(runtime.clock, kWelcomeLimit, "refusal", wan->write(bytes));
  (void)co_await sys::within(runtime.clock, kWelcomeLimit, "refusal", wan->shutdown_write());
}

// `wan` is moved from as soon as the Welcome is said.
sys::Task<Result<>> Receiver::Impl::take(std::unique_ptr<sys::PeerStream>& wan) {
  const auto peer = wan->peer().name;
  if (!config.from.empty() && std::ranges::find(config.from, peer) == config.from.end()) {
    co_return fail(Errc::denied, "{} may not send to this tunnel (--from)", peer);
  }
  auto reading = migrate::read_packed(*wan, kFrameLimit_bytes);
  const auto json = co_await sys::within(runtime.clock, kHelloLimit, "Hello", std::move(reading));
  if (!json) co_return pass(json);
  auto hello = parse_hello(*json);
  if (!hello) co_return pass(hello);
  auto path = config.sockets.path(hello->channel, hello->guest);
  if (path.empty()) co_return fail(Errc::denied, "{} is not carried by the receiving end", title(*hello));
  if (hello->channel != Channel::libvirt) co_return co_await take_guest(wan, std::move(*hello), std::move(path));

  auto local = co_await dial(std::move(path));
  if (!local) co_return pass(local);
  const auto welcomed = co_await welcome(*wan, nullptr);
  auto stream = std::move(wan);
  if (!welcomed) co_return welcomed;
  Carrying carrying(plain, Role::receive, config.tenant, peer, {});
  co_return co_await carrying.carry(Channel::libvirt, std::move(*local), std::move(stream));
}

sys::Task<Result<>> Receiver::Impl::take_guest(std::unique_ptr<sys::PeerStream>& wan, Hello hello, std::string path) {
  const auto lane = admit(hello, wan->peer().name);
  if (!lane) co_return pass(lane);
  const Membership member(**lane, runtime.clock);
  const auto carrying = (*lane)->carrying;
  auto local = co_await dial(std::move(path));
  if (!local) co_return fail(local, title(hello));
  const auto welcomed = co_await welcome(*wan, carrying.get());
  auto stream = std::move(wan);
  if (!welcomed) co_return welcomed;
  runtime.log.info("{}: comes from {} as {}", title(hello), (*lane)->peer, carrying->encoding());
  const auto done = co_await carrying->carry(hello.channel, std::move(*local), std::move(stream));
  if (!done) co_return fail(done, title(hello));
  co_return Result<>{};
}

Result<Lane*> Receiver::Impl::admit(const Hello& hello, const std::string& peer) {
  if (hello.tenant != config.tenant) {
    return fail(Errc::denied, "tenant {}: this end carries {} (--tenant)", hello.tenant, config.tenant);
  }
  auto& lane = lanes[hello.guest];
  const bool same = lane.carrying && lane.peer == peer && lane.migration == hello.migration;
  if (!same && lane.connections > 0) {
    return fail(Errc::conflict,
                "guest {}: another migration, from {}, is under way there; give each guest that moves at the "
                "same time sockets of its own (--guests)",
                hello.guest, lane.peer);
  }
  auto* const encoding = choose(encodings, hello.encodings);
  if (!encoding) return fail(Errc::unsupported, "no common encoding; here are {}", fmt::join(names(encodings), ", "));
  if (!same) {
    lane.peer = peer;
    lane.migration = hello.migration;
    lane.carrying =
        std::make_shared<Carrying>(*encoding, Role::receive, config.tenant, peer, common(hello.images, config.images));
  }
  if (lane.carrying->encoding() != encoding->name()) {
    return fail(Errc::protocol, "guest {}: one migration with two encodings", hello.guest);
  }
  return &lane;
}

sys::Task<Result<std::unique_ptr<sys::Stream>>> Receiver::Impl::dial(std::string path) {
  const auto deadline = runtime.clock.now() + kPatience;
  for (;;) {
    auto local = co_await runtime.local.dial(path);
    if (local || runtime.clock.now() >= deadline) co_return std::move(local);
    co_await runtime.clock.sleep_for(kDialAgain);
  }
}

sys::Task<Result<>> Receiver::Impl::welcome(sys::Stream& wan, const Carrying* carrying) {
  Welcome answer;
  answer.version = kProtocolVersion;
  answer.ok = true;
  if (carrying) {
    answer.encoding = carrying->encoding();
    answer.images = carrying->images();
  }
  const auto bytes = migrate::pack(answer);
  co_return co_await sys::within(runtime.clock, kWelcomeLimit, "Welcome", wan.write(bytes));
}

sys::Task<void> Receiver::Impl::forget() {
  for (;;) {
    co_await runtime.clock.sleep_for(kLinger);
    for (auto& [guest, lane] : lanes) {
      if (lane.connections == 0 && runtime.clock.now() - lane.idle_since >= kLinger) lane.carrying.reset();
    }
  }
}

}  // namespace godwit::tunnel
