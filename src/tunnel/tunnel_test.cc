// Both ends of a tunnel over a simulated WAN; QEMU and libvirt are sockets that talk.
#include "migrate/zstd_encoding.h"
#include "sim/host.h"
#include "sim/network.h"

#include <gmock/gmock.h>

#include "tunnel/receiver.h"
#include "tunnel/sender.h"
#include <deque>
#include <optional>

namespace godwit::tunnel {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Bare final : public sim::Program {};
std::unique_ptr<sim::Program> make_bare(sim::Process&) { return std::make_unique<Bare>(); }

template <class End, class Config>
class Running final : public sim::Program {
 public:
  Running(sim::Process& process, Config config) : end_(process.runtime(), std::move(config), {&zstd_, &plain_}) {
    EXPECT_TRUE(end_.start());
  }

 private:
  migrate::ZstdEncoding zstd_;
  migrate::PlainEncoding plain_;
  End end_;
};

// What one connection brought to the destination.
struct Arrived {
  std::string bytes;
  bool ended{false};
  bool broken{false};
};

// What became of one connection of the source.
struct Left {
  std::string answer;
  bool ended{false};
  bool broken{false};
};

// Hosts "left" and "right", and a stranger whose keys were made elsewhere.
class Tunnel : public ::testing::Test {
 protected:
  Tunnel() {
    world_.keep_trace(true);
    for (auto* host : {&left_, &right_}) {
      qemus_.push_back(&host->start("qemu", {}, make_bare));
    }
  }

  void start_receiver(ReceiverConfig config) {
    config.host = right_.ip();
    config.port = 7443;
    start<Receiver>(right_, std::move(config), "receive");
  }
  void start_sender(SenderConfig config) {
    config.to = {right_.ip(), 7443, "right.tunnel.godwit"};
    start<Sender>(left_, std::move(config), "send");
  }
  template <class End, class Config>
  void start(sim::Host& host, Config config, const std::string& name) {
    host.start(name, {host.name() + ".tunnel.godwit", signer_}, [&](sim::Process& process) {
      process.runtime().peers.trust({sim::authority("tunnel-ca", "tunnel")});
      return std::make_unique<Running<End, Config>>(process, std::move(config));
    });
  }

  // A QEMU of the destination: reads to the end, and answers with what it got.
  void listen(const std::string& path) {
    auto& qemu = *qemus_.back();
    listeners_.push_back(qemu.runtime().local.listen(path, 0600, 0).value());
    qemu.spawn(accept_all(*listeners_.back()));
  }
  sys::Task<void> accept_all(sys::Listener& listener) {
    for (;;) {
      auto stream = co_await listener.accept();
      if (!stream) co_return;
      auto& arrived = arrived_.emplace_back();
      qemus_.back()->spawn(hear(std::move(*stream), arrived));
    }
  }
  static sys::Task<void> hear(std::unique_ptr<sys::Stream> stream, Arrived& arrived) {
    ByteVector buffer(10'000);
    for (;;) {
      const auto size = co_await stream->read_some(buffer);
      if (!size) {
        arrived.ended = size.error().code == Errc::closed;
        arrived.broken = !arrived.ended;
        break;
      }
      arrived.bytes += as_text(ByteView(buffer).first(*size));
    }
    const auto answer = fmt::format("heard {}", arrived.bytes.size());
    (void)co_await stream->write(as_bytes(answer));
    (void)co_await stream->shutdown_write();
  }

  // A connection of the source: says `text`, and hears the answer to its end.
  Left& dial(const std::string& path, std::string text, bool end = true) {
    auto& left = left_connections_.emplace_back();
    qemus_.front()->spawn(talk(qemus_.front()->runtime(), path, std::move(text), end, left));
    return left;
  }
  static sys::Task<void> talk(sys::Runtime& runtime, std::string path, std::string text, bool end, Left& left) {
    auto stream = co_await runtime.local.dial(std::move(path));
    if (!stream) {
      left.broken = true;
      co_return;
    }
    (void)co_await (*stream)->write(as_bytes(text));
    if (end) (void)co_await (*stream)->shutdown_write();
    ByteVector buffer(1000);
    for (;;) {
      const auto size = co_await (*stream)->read_some(buffer);
      if (!size) {
        left.ended = true;
        left.broken = size.error().code != Errc::closed;
        co_return;
      }
      left.answer += as_text(ByteView(buffer).first(*size));
    }
  }

  bool run_until(const std::function<bool()>& done, Nanos limit = Seconds{60}) { return world_.run_until(done, limit); }
  std::string trace() const { return fmt::format("{}", fmt::join(world_.trace(), "\n")); }

  sim::World world_{1};
  sim::Host& left_{world_.add_host("left", "here", "10.1.0.1")};
  sim::Host& right_{world_.add_host("right", "there", "10.2.0.1")};
  std::string signer_{"tunnel-ca"};
  std::vector<sim::Process*> qemus_;
  std::vector<std::unique_ptr<sys::Listener>> listeners_;
  std::deque<Arrived> arrived_;
  std::deque<Left> left_connections_;
};

const Sockets kSockets{"/run/t/memory", "/run/t/disk", "", 1};

SenderConfig sending(Sockets sockets = kSockets) {
  SenderConfig config;
  config.sockets = std::move(sockets);
  return config;
}
ReceiverConfig receiving(Sockets sockets = kSockets) {
  ReceiverConfig config;
  config.sockets = std::move(sockets);
  return config;
}

TEST_F(Tunnel, CarriesBothDirectionsToTheirEnds) {
  start_receiver(receiving());
  start_sender(sending());
  listen("/run/t/memory");
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += std::to_string(i * 7919);
  const auto& connection = dial("/run/t/memory", text);
  ASSERT_TRUE(run_until([&] { return connection.ended; })) << trace();
  EXPECT_EQ(arrived_.at(0).bytes, text);
  EXPECT_TRUE(arrived_.at(0).ended);
  EXPECT_EQ(connection.answer, fmt::format("heard {}", text.size()));
  EXPECT_THAT(trace(), HasSubstr("memory of guest 1: crosses to right.tunnel.godwit as zstd"));
  EXPECT_THAT(trace(), HasSubstr("all of its 1 connections are closed"));
}

// QEMU before 8.0 takes the first connection for the one with the devices; here it is the slowest to shake hands.
TEST_F(Tunnel, KeepsTheOrderOfConnections) {
  start_receiver(receiving());
  start_sender(sending());
  listen("/run/t/memory");
  world_.network().cut("left", "right");
  dial("/run/t/memory", "connection 0");
  world_.run_for(Millis{50});
  world_.network().heal("left", "right");
  for (int i = 1; i < 9; ++i) dial("/run/t/memory", fmt::format("connection {}", i));
  const auto all_ended = [&] { return std::ranges::all_of(left_connections_, &Left::ended); };
  ASSERT_TRUE(run_until(all_ended)) << trace();
  ASSERT_EQ(arrived_.size(), 9U);
  for (std::size_t i = 0; i < 9; ++i) EXPECT_EQ(arrived_[i].bytes, fmt::format("connection {}", i));
}

TEST_F(Tunnel, WaitsForAQemuThatListensALittleLater) {
  start_receiver(receiving());
  start_sender(sending());
  const auto& connection = dial("/run/t/disk", "early");
  world_.run_for(kPatience / 2);
  EXPECT_FALSE(connection.ended);
  listen("/run/t/disk");
  ASSERT_TRUE(run_until([&] { return connection.ended; })) << trace();
  EXPECT_EQ(connection.answer, "heard 5");
}

TEST_F(Tunnel, GivesUpWhereNoQemuListens) {
  start_receiver(receiving());
  start_sender(sending());
  const auto& connection = dial("/run/t/disk", "in vain", false);
  ASSERT_TRUE(run_until([&] { return connection.ended; }, kPatience + Seconds{5})) << trace();
  EXPECT_EQ(connection.answer, "");
  EXPECT_THAT(trace(), HasSubstr("refused by the receiving end: disk of guest 1"));
}

TEST_F(Tunnel, CarriesLibvirtsTalkAsItIs) {
  start_receiver(receiving({"", "", "/run/libvirt/libvirt-sock", 1}));
  start_sender(sending({"", "", "/run/t/libvirt", 1}));
  listen("/run/libvirt/libvirt-sock");
  const auto& connection = dial("/run/t/libvirt", "open, please");
  ASSERT_TRUE(run_until([&] { return connection.ended; })) << trace();
  EXPECT_EQ(connection.answer, "heard 12");
}

TEST_F(Tunnel, DoesNotCarryLibvirtWhereTheReceivingEndWasNotToldTo) {
  start_receiver(receiving());
  start_sender(sending({"", "", "/run/t/libvirt", 1}));
  const auto& connection = dial("/run/t/libvirt", "open, please", false);
  ASSERT_TRUE(run_until([&] { return connection.ended; })) << trace();
  EXPECT_THAT(trace(), HasSubstr("libvirt is not carried by the receiving end"));
}

TEST_F(Tunnel, MovesGuestsSideBySide) {
  const Sockets numbered{"/run/t/{}.memory", "/run/t/{}.disk", "", 2};
  start_receiver(receiving(numbered));
  start_sender(sending(numbered));
  listen("/run/t/1.memory");
  listen("/run/t/2.memory");
  const auto& first = dial("/run/t/1.memory", "one");
  const auto& second = dial("/run/t/2.memory", "two");
  ASSERT_TRUE(run_until([&] { return first.ended && second.ended; })) << trace();
  EXPECT_EQ(first.answer, "heard 3");
  EXPECT_EQ(second.answer, "heard 3");
}

// A second sender, with keys of the same making: its guest would land in the first one's QEMU.
TEST_F(Tunnel, RefusesASecondMigrationIntoTheSameSockets) {
  sim::Host& third = world_.add_host("third", "elsewhere", "10.3.0.1");
  qemus_.insert(qemus_.begin() + 1, &third.start("qemu", {}, make_bare));
  start_receiver(receiving());
  start_sender(sending());
  auto config = sending();
  config.to = {right_.ip(), 7443, "right.tunnel.godwit"};
  start<Sender>(third, std::move(config), "send");
  listen("/run/t/memory");
  dial("/run/t/memory", "the first stays", false);
  ASSERT_TRUE(run_until([&] { return arrived_.size() == 1 && !arrived_[0].bytes.empty(); })) << trace();
  Left second;
  qemus_[1]->spawn(talk(qemus_[1]->runtime(), "/run/t/memory", "the second", false, second));
  ASSERT_TRUE(run_until([&] { return second.ended; })) << trace();
  EXPECT_THAT(trace(), HasSubstr("another migration, from left.tunnel.godwit, is under way"));
  EXPECT_EQ(arrived_.size(), 1U);
}

TEST_F(Tunnel, LetsTheNextMigrationInWhenTheLastIsOver) {
  start_receiver(receiving());
  start_sender(sending());
  listen("/run/t/memory");
  for (int i = 0; i < 3; ++i) {
    const auto& connection = dial("/run/t/memory", "again");
    ASSERT_TRUE(run_until([&] { return connection.ended; })) << trace();
    EXPECT_EQ(connection.answer, "heard 5");
    world_.run_for(kLinger * i);
  }
}

TEST_F(Tunnel, RefusesWhoMayNotSend) {
  auto config = receiving();
  config.from = {"another.tunnel.godwit"};
  start_receiver(std::move(config));
  start_sender(sending());
  listen("/run/t/memory");
  const auto& connection = dial("/run/t/memory", "let me in", false);
  ASSERT_TRUE(run_until([&] { return connection.ended; })) << trace();
  EXPECT_THAT(trace(), HasSubstr("left.tunnel.godwit may not send"));
  EXPECT_TRUE(arrived_.empty());
}

TEST_F(Tunnel, RefusesAnotherTenant) {
  auto config = receiving();
  config.tenant = "blue";
  start_receiver(std::move(config));
  start_sender(sending());
  listen("/run/t/memory");
  const auto& connection = dial("/run/t/memory", "let me in", false);
  ASSERT_TRUE(run_until([&] { return connection.ended; })) << trace();
  EXPECT_THAT(trace(), HasSubstr("this end carries blue"));
  EXPECT_TRUE(arrived_.empty());
}

TEST_F(Tunnel, RefusesKeysOfAnotherMaking) {
  start_receiver(receiving());
  signer_ = "another-ca";
  start_sender(sending());
  listen("/run/t/memory");
  const auto& connection = dial("/run/t/memory", "let me in", false);
  ASSERT_TRUE(run_until([&] { return connection.ended; })) << trace();
  EXPECT_TRUE(arrived_.empty());
}

// QEMU and libvirt decide what a cut means; they must see it, at both ends.
TEST_F(Tunnel, ACutEndsBothSides) {
  start_receiver(receiving());
  start_sender(sending());
  listen("/run/t/memory");
  const auto& connection = dial("/run/t/memory", "half of it", false);
  ASSERT_TRUE(run_until([&] { return arrived_.size() == 1 && !arrived_[0].bytes.empty(); })) << trace();
  right_.find("receive")->kill();
  ASSERT_TRUE(run_until([&] { return connection.ended && (arrived_[0].ended || arrived_[0].broken); })) << trace();
}

// Frames of a peer with good keys and bad manners.
TEST_F(Tunnel, RefusesAPeerThatDoesNotSpeakTheProtocol) {
  start_receiver(receiving());
  auto& liar = left_.start("liar", {"left.tunnel.godwit", "tunnel-ca"}, make_bare);
  liar.runtime().peers.trust({sim::authority("tunnel-ca", "tunnel")});
  std::vector<std::string> ends;
  const auto attempt = [](sys::Runtime& runtime, std::string ip, ByteVector bytes,
                          std::vector<std::string>& heard) -> sys::Task<void> {
    sys::PeerAddress where{std::move(ip), 7443, "right.tunnel.godwit"};
    auto stream = co_await runtime.peers.dial(std::move(where));
    (void)co_await (*stream)->write(bytes);
    auto json = co_await migrate::read_packed(**stream, kFrameLimit_bytes);
    heard.push_back(json ? *json : "closed");
  };
  ByteVector endless;
  append_be32(endless, 0xFFFF'FFFF);
  ByteVector garbage;
  append_be32(garbage, 4);
  append(garbage, as_bytes("{{{{"));
  for (const auto& bytes : {endless, garbage, ByteVector{}}) {
    liar.spawn(attempt(liar.runtime(), right_.ip(), bytes, ends));
    const auto before = ends.size();
    ASSERT_TRUE(run_until([&] { return ends.size() > before; })) << trace();
  }
  EXPECT_THAT(ends, ElementsAre(HasSubstr("a frame of 4294967295 bytes"), HasSubstr("Hello"), HasSubstr("no answer")));
}

}  // namespace
}  // namespace godwit::tunnel
