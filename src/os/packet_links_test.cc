#include "os/packet_links.h"

#include "os/packet_io.h"
#include "os/packet_netns.h"
#include "support/guest_tap.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>

namespace godwit::os {
namespace {

using testing::back;
using testing::flow_frame;
using testing::Guest;
using testing::in_private_network;
using testing::loopback;
using testing::next_batch;
using testing::number_of;
using testing::port_of;
using testing::test_frame;

TEST(SwitchLinks, FramesPassBetweenTheGuestsDeviceAndOurs) {
  in_private_network([] {
    testing::EventLoop loop;
    auto io = SystemPacketIo::open(loop.executor(), loopback());
    auto links = SystemSwitchLinks::open(loop.executor());
    ASSERT_TRUE(io && links);
    auto tap = (*links)->open_tap("ours", 1400, 1);
    ASSERT_TRUE(tap) << tap.error().message;
    const auto port = (*io)->attach(std::move(*tap));
    EXPECT_FALSE(*(*links)->join("ours", "guest", false));  // not there yet

    // Twice: the second guest has a new device of the same name.
    for (int life = 0; life < 2; ++life) {
      Guest guest("guest");
      const auto joined = (*links)->join("ours", "guest", false);
      ASSERT_TRUE(joined && *joined) << (joined ? "no" : joined.error().message);
      EXPECT_TRUE(*(*links)->join("ours", "guest", false));  // again: nothing happens
      const auto up = test_frame("from the guest");
      guest.write(up);
      ByteVector first;
      sys::Packet packet;
      loop.run(next_batch(**io, first, packet));
      EXPECT_EQ(first, up);
      EXPECT_EQ(packet.port, port);
      const auto down = test_frame("to the guest");
      const sys::OutPacket out{port, {}, down};
      (*io)->send({&out, 1});
      EXPECT_EQ(guest.read(), down);
    }
    ASSERT_TRUE((*links)->remove_tap("ours"));
    ASSERT_TRUE((*links)->remove_tap("ours"));
    EXPECT_EQ((*links)->join("ours", "guest", false).error().code, Errc::not_found);
    EXPECT_TRUE((*io)->receive().empty());  // a device that is gone makes no noise
  });
}

TEST(SwitchLinks, ADeviceOutlivesItsSwitchAndTheNextTakesItOver) {
  in_private_network([] {
    testing::EventLoop loop;
    Guest guest("guest");
    const auto frame = test_frame("while nobody was there");
    {
      auto links = SystemSwitchLinks::open(loop.executor());
      auto io = SystemPacketIo::open(loop.executor(), loopback());
      auto tap = (*links)->open_tap("ours", 1400, 1);
      ASSERT_TRUE(tap);
      static_cast<void>((*io)->attach(std::move(*tap)));
      ASSERT_TRUE(*(*links)->join("ours", "guest", false));
      EXPECT_EQ((*links)->open_tap("ours", 1400, 1).error().code, Errc::conflict);
    }
    auto links = SystemSwitchLinks::open(loop.executor());
    auto io = SystemPacketIo::open(loop.executor(), loopback());
    auto tap = (*links)->open_tap("ours", 1400, 1);
    ASSERT_TRUE(tap) << tap.error().message;
    static_cast<void>((*io)->attach(std::move(*tap)));
    const auto joined = (*links)->join("ours", "guest", false);
    ASSERT_TRUE(joined && *joined) << joined.error().message;
    guest.write(frame);
    ByteVector first;
    sys::Packet packet;
    loop.run(next_batch(**io, first, packet));
    EXPECT_EQ(first, frame);
  });
}

// All frames that come to `io` until there are so many, in their order.
sys::Task<void> take(sys::PacketIo& io, std::size_t count, std::vector<ByteVector>& into) {
  while (into.size() < count) {
    for (const auto& packet : io.receive()) into.emplace_back(packet.bytes.begin(), packet.bytes.end());
    if (into.size() >= count) break;
    const auto ready = co_await io.wait_readable();
    GODWIT_CO_ASSERT_OK(ready);
  }
}

TEST(SwitchLinks, AFlowStaysInItsGuestsQueueAndInOrderWhicheverThatIs) {
  in_private_network([] {
    constexpr unsigned kQueues = 4;
    constexpr unsigned kFlows = 40;
    constexpr unsigned kRounds = 20;
    testing::EventLoop loop;
    auto io = SystemPacketIo::open(loop.executor(), loopback());
    auto links = SystemSwitchLinks::open(loop.executor());
    Guest guest("guest", kQueues);
    auto tap = (*links)->open_tap("ours", 1400, kQueues);
    ASSERT_TRUE(tap) << tap.error().message;
    EXPECT_EQ((*tap)->queues().size(), kQueues);
    const auto port = (*io)->attach(std::move(*tap));
    ASSERT_TRUE(*(*links)->join("ours", "guest", false));
    for (unsigned round = 0; round < kRounds; ++round) {
      for (unsigned flow = 0; flow < kFlows; ++flow) guest.write(flow_frame(1000 + flow, round), flow % kQueues);
      if (round % 5 != 4) continue;  // a few of each flow wait at a time
      std::vector<ByteVector> came;
      loop.run(take(**io, 5UL * kFlows, came));
      std::map<unsigned, unsigned> next;
      for (const auto& frame : came) EXPECT_EQ(number_of(frame), round - 4 + next[port_of(frame)]++) << port_of(frame);
      std::vector<ByteVector> answers;
      for (const auto& frame : came) answers.push_back(back(frame));
      for (const auto& answer : answers) {
        const sys::OutPacket out{port, {}, answer};
        (*io)->send({&out, 1});
      }
    }
    for (std::size_t queue = 0; queue < kQueues; ++queue) {
      std::map<unsigned, unsigned> next;
      for (unsigned i = 0; i < kFlows / kQueues * kRounds; ++i) {
        const auto frame = guest.read(queue);
        ASSERT_FALSE(frame.empty()) << i << " of queue " << queue;
        const auto answer = back(frame);
        ASSERT_EQ((port_of(answer) - 1000) % kQueues, queue);
        EXPECT_EQ(number_of(answer), next[port_of(answer)]++);
      }
    }
  });
}

TEST(SwitchLinks, ADeviceOfSeveralQueuesOutlivesItsSwitchAndHasOneHolder) {
  in_private_network([] {
    testing::EventLoop loop;
    auto links = SystemSwitchLinks::open(loop.executor());
    for (int life = 0; life < 2; ++life) {
      const auto tap = (*links)->open_tap("ours", 1400, 4);
      ASSERT_TRUE(tap) << tap.error().message;
      EXPECT_EQ((*tap)->queues().size(), 4U);
      for (const unsigned queues : {1U, 4U}) {
        EXPECT_EQ((*links)->open_tap("ours", 1400, queues).error().code, Errc::conflict);
      }
    }
  });
}

// Otherwise a new switch could not take over what an old one has made, nor an old one come back.
TEST(SwitchLinks, ADeviceThatWasMadeWithOneQueueKeepsItAndOneOfSeveralIsUsedByOne) {
  in_private_network([] {
    testing::EventLoop loop;
    auto links = SystemSwitchLinks::open(loop.executor());
    for (const auto& [made_with, wanted] : {std::pair(1U, 4U), std::pair(4U, 1U)}) {
      ASSERT_TRUE((*links)->open_tap("ours", 1400, made_with));
      const auto tap = (*links)->open_tap("ours", 1400, wanted);
      ASSERT_TRUE(tap) << tap.error().message;
      EXPECT_EQ((*tap)->queues().size(), 1U);
      ASSERT_TRUE((*links)->remove_tap("ours"));
    }
  });
}

TEST(SwitchLinks, SaysWhenADeviceComes) {
  in_private_network([] {
    testing::EventLoop loop;
    auto links = SystemSwitchLinks::open(loop.executor());
    ASSERT_TRUE(links);
    Guest guest("guest");
    auto changed = [](sys::SwitchLinks& of) -> sys::Task<void> {
      const auto done = co_await of.wait_changed();
      GODWIT_CO_ASSERT_OK(done);
    };
    loop.run(changed(**links));
  });
}

TEST(SwitchLinks, AGatewayLivesInANamespaceThatIsMadeAndRemoved) {
  in_private_network([] {
    testing::EventLoop loop;
    const auto name = fmt::format("gwt-{}", ::getpid());
    const auto path = "/run/netns/" + name;
    auto links = SystemSwitchLinks::open(loop.executor());
    ASSERT_TRUE(links);
    const sys::GatewaySpec spec{name, 0x066777000001, 1400, {"10.77.0.1/24", "169.254.169.254/32"}};
    for (int life = 0; life < 2; ++life) {  // made, and taken over
      const auto gateway = (*links)->open_gateway(spec);
      ASSERT_TRUE(gateway) << gateway.error().message;
    }
    int found_inside = 0;
    EXPECT_TRUE(in_network_namespace(name, [&]() -> Result<> {
      found_inside = link_index("gw0");
      return {};
    }));
    EXPECT_GT(found_inside, 0);
    EXPECT_EQ(link_index("gw0"), 0);  // not here
    ASSERT_TRUE((*links)->remove_gateway(name));
    ASSERT_TRUE((*links)->remove_gateway(name));
    struct stat found{};
    EXPECT_NE(::stat(path.c_str(), &found), 0);
  });
}

}  // namespace
}  // namespace godwit::os
