#include "tunnel/sender.h"

#include "sys/accepting.h"

#include "tunnel/images.h"
#include <algorithm>
#include <deque>

namespace godwit::tunnel {
namespace {

constexpr Seconds kWelcomeLimit{30};  // the receiving end waits kPatience for its QEMU

// What moves through one guest's sockets: all connections that overlap are one migration.
struct Lane {
  Lane(const sys::Executor& executor, std::uint32_t number) : guest(number), turned(executor) {}

  const std::uint32_t guest;
  std::string migration;               // while there are connections
  std::shared_ptr<Carrying> carrying;  // from the first Welcome on; shared with the connections
  std::size_t connections{0};
  std::size_t total{0};
  // QEMU tells its connections apart by their order, so they are introduced in the order in which they were accepted.
  std::uint64_t next_turn{0};
  std::uint64_t turn{0};
  sys::Signal turned;
};

std::string title(Channel channel, std::uint32_t guest) {
  const std::string name = boost::describe::enum_to_string(channel, "?");
  return channel == Channel::libvirt ? name : fmt::format("{} of guest {}", name, guest);
}

std::string account(const Carrying& carrying) {
  constexpr double kMib = 1024.0 * 1024.0;
  const auto mib = [](std::uint64_t bytes) { return static_cast<double>(bytes) / kMib; };
  const auto crossed = carrying.wan_bytes();
  const auto saved = carrying.savings();
  auto text =
      fmt::format("{:.1f} MiB of memory and {:.1f} MiB of disk crossed", mib(crossed.memory), mib(crossed.disk));
  const auto whole = saved.sum();
  if (whole == 0) return text;
  return text +
         fmt::format(
             " for {:.1f} MiB: {:.1f} of zeros, {:.1f} in images, {:.1f} had crossed of it and {:.1f} of others, "
             "{:.1f} like what had, {:.1f} compressed away, {:.1f} new",
             mib(whole), mib(saved.zero), mib(saved.image), mib(saved.earlier), mib(saved.sibling), mib(saved.similar),
             mib(saved.compressed), mib(saved.literal + saved.other));
}

}  // namespace

struct Sender::Impl {
  Impl(sys::Runtime on, SenderConfig with, Encodings usable)
      : runtime(on), config(std::move(with)), encodings(std::move(usable)), gate(runtime.executor) {}

  Result<> listen(Channel channel, Lane* lane);
  void welcome(std::unique_ptr<sys::Stream> local, Channel channel, Lane* lane);
  sys::Task<void> forward_control(std::unique_ptr<sys::Stream> local);
  sys::Task<void> forward(Lane& lane, Channel channel, std::uint64_t turn, std::unique_ptr<sys::Stream> local);
  sys::Task<Result<>> cross(Lane& lane, Channel channel, std::uint64_t turn, std::unique_ptr<sys::Stream> local);
  sys::Task<Result<>> introduce_to(sys::PeerStream& wan, Lane& lane, Channel channel);
  void leave(Lane& lane);

  sys::Runtime runtime;
  SenderConfig config;
  Encodings encodings;
  migrate::PlainEncoding plain;  // libvirt's protocol
  std::deque<Lane> lanes;
  std::vector<std::unique_ptr<sys::Listener>> listeners;
  sys::Gate gate;
};

Sender::Sender(sys::Runtime runtime, SenderConfig config, Encodings encodings)
    : impl_(std::make_unique<Impl>(runtime, std::move(config), std::move(encodings))) {}
Sender::~Sender() = default;

Result<> Sender::start() {
  auto& my = *impl_;
  auto checked = my.config.sockets.check();
  if (checked) checked = check_tenant(my.config.tenant);
  if (!checked) return checked;
  for (std::uint32_t guest = 1; guest <= my.config.sockets.guests; ++guest) {
    auto& lane = my.lanes.emplace_back(my.runtime.executor, guest);
    for (const auto channel : {Channel::memory, Channel::disk}) {
      auto listening = my.listen(channel, &lane);
      if (!listening) return listening;
    }
  }
  return my.listen(Channel::libvirt, nullptr);
}

sys::Task<void> Sender::stop() {
  for (const auto& listener : impl_->listeners) listener->close();
  co_await impl_->gate.close();
}

Result<> Sender::Impl::listen(Channel channel, Lane* lane) {
  const auto path = config.sockets.path(channel, lane ? lane->guest : 0);
  if (path.empty()) return {};
  // Whoever may speak to libvirt owns the host: that one is the caller's alone.
  auto listener =
      lane ? runtime.local.listen(path, config.mode, config.owner_uid) : runtime.local.listen(path, 0600, 0);
  if (!listener) return pass(listener);
  listeners.push_back(std::move(*listener));
  auto take = [this, channel, lane](std::unique_ptr<sys::Stream> local) { welcome(std::move(local), channel, lane); };
  gate.spawn(sys::accept_each(*listeners.back(), runtime.clock, runtime.log, std::move(take)));
  return {};
}

void Sender::Impl::welcome(std::unique_ptr<sys::Stream> local, Channel channel, Lane* lane) {
  if (!lane) {
    gate.spawn(forward_control(std::move(local)));
    return;
  }
  if (lane->connections++ == 0) lane->migration = runtime.random.id("mig");
  ++lane->total;
  gate.spawn(forward(*lane, channel, lane->next_turn++, std::move(local)));
}

// ---- libvirt's control connection

sys::Task<void> Sender::Impl::forward_control(std::unique_ptr<sys::Stream> local) {
  auto wan = co_await runtime.peers.dial(config.to);
  Result<> done;
  if (wan) {
    Hello hello;
    hello.version = kProtocolVersion;
    hello.channel = Channel::libvirt;
    auto asking = introduce(**wan, std::move(hello));
    const auto welcome = co_await sys::within(runtime.clock, kWelcomeLimit, "Welcome", std::move(asking));
    if (!welcome) done = pass(welcome);
  } else {
    done = pass(wan);
  }
  Carrying carrying(plain, Role::send, config.tenant, config.to.name, {});
  if (done) done = co_await carrying.carry(Channel::libvirt, std::move(local), std::move(*wan));
  if (!done) runtime.log.warn("libvirt: {}", done.error().message);
}

// ---- a connection of QEMU

sys::Task<void> Sender::Impl::forward(Lane& lane, Channel channel, std::uint64_t turn,
                                      std::unique_ptr<sys::Stream> local) {
  const auto done = co_await cross(lane, channel, turn, std::move(local));
  if (!done) runtime.log.warn("{}: {}", title(channel, lane.guest), done.error().message);
  leave(lane);
}

sys::Task<Result<>> Sender::Impl::cross(Lane& lane, Channel channel, std::uint64_t turn,
                                        std::unique_ptr<sys::Stream> local) {
  auto wan = co_await runtime.peers.dial(config.to);
  while (lane.turn != turn) co_await lane.turned.wait();
  Result<> introduced;
  if (wan) {
    introduced = co_await introduce_to(**wan, lane, channel);
  } else {
    introduced = pass(wan);
  }
  ++lane.turn;
  lane.turned.notify();
  if (!introduced) co_return introduced;
  const auto carrying = lane.carrying;
  co_return co_await carrying->carry(channel, std::move(local), std::move(*wan));
}

sys::Task<Result<>> Sender::Impl::introduce_to(sys::PeerStream& wan, Lane& lane, Channel channel) {
  Hello hello;
  hello.version = kProtocolVersion;
  hello.channel = channel;
  hello.guest = lane.guest;
  hello.migration = lane.migration;
  hello.tenant = config.tenant;
  hello.images = config.images;
  hello.encodings = names(encodings);
  if (lane.carrying) hello.encodings.assign(1, std::string(lane.carrying->encoding()));
  const auto offered = hello.encodings;
  auto asking = introduce(wan, std::move(hello));
  const auto welcome = co_await sys::within(runtime.clock, kWelcomeLimit, "Welcome", std::move(asking));
  if (!welcome) co_return pass(welcome);
  const bool was_offered = std::ranges::find(offered, welcome->encoding) != offered.end();
  auto* const encoding = choose(encodings, {welcome->encoding});
  if (!was_offered || !encoding)
    co_return fail(Errc::protocol, "Welcome: encoding \"{}\" was not offered", welcome->encoding);
  runtime.log.info("{}: crosses to {} as {}", title(channel, lane.guest), wan.peer().name, welcome->encoding);
  const auto images = common(config.images, welcome->images);  // in our order, and nothing that we don't have
  if (images != welcome->images) co_return fail(Errc::protocol, "Welcome: images that were not offered");
  if (!lane.carrying) {
    lane.carrying = std::make_shared<Carrying>(*encoding, Role::send, config.tenant, config.to.name, images);
  }
  co_return Result<>{};
}

void Sender::Impl::leave(Lane& lane) {
  if (--lane.connections > 0) return;
  runtime.log.info("guest {}: all of its {} connections are closed; {}", lane.guest, lane.total,
                   lane.carrying ? account(*lane.carrying) : "nothing crossed");
  lane.carrying.reset();
  lane.migration.clear();
  lane.total = 0;
}

}  // namespace godwit::tunnel
