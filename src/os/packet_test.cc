#include "os/packet_io.h"
#include "os/udp_socket.h"
#include "support/guest_tap.h"
#include "support/memory_device.h"

#include <gtest/gtest.h>

namespace godwit::os {
namespace {

using testing::back;
using testing::flow_frame;
using testing::in_private_network;
using testing::loopback;
using testing::next_batch;
using testing::test_frame;

TEST(PacketIo, DatagramsComeInBatchesWithTheirSender) {
  in_private_network([] {
    testing::EventLoop loop;
    auto a = SystemPacketIo::open(loop.executor(), loopback());
    auto b = SystemPacketIo::open(loop.executor(), loopback());
    ASSERT_TRUE(a && b);
    EXPECT_TRUE((*b)->receive().empty());
    std::vector<ByteVector> texts;
    for (int i = 0; i < 100; ++i) texts.push_back(ByteVector(static_cast<std::size_t>(i) + 1, std::byte{7}));
    std::vector<sys::OutPacket> out;
    for (const auto& each : texts) out.push_back({0, (*b)->local(), each});
    (*a)->send(out);
    ByteVector first;
    sys::Packet packet;
    loop.run(next_batch(**b, first, packet));
    std::size_t seen = UdpSocket::kMessages;
    EXPECT_EQ(first.size(), 1U);
    EXPECT_EQ(packet.peer, (*a)->local());
    EXPECT_EQ(packet.port, 0U);
    for (auto batch = (*b)->receive(); !batch.empty(); batch = (*b)->receive()) seen += batch.size();
    EXPECT_EQ(seen, 100U);
    EXPECT_EQ((*a)->counts().refused, 0U);
  });
}

// Another kind of device than a TAP: what a vhost-user backend would be here, without its guest's memory.
TEST(PacketIo, ADeviceOfAnotherKindIsAnsweredByTheQueueThatAFlowCameFrom) {
  in_private_network([] {
    testing::EventLoop loop;
    auto io = SystemPacketIo::open(loop.executor(), loopback());
    auto made = std::make_unique<testing::MemoryDevice>(3);
    auto& device = *made;
    const auto port = (*io)->attach(std::move(made));
    for (unsigned flow = 0; flow < 30; ++flow) {
      const auto frame = flow_frame(flow, 7);
      device.put(flow % 3, frame);
      ByteVector first;
      sys::Packet packet;
      loop.run(next_batch(**io, first, packet));
      EXPECT_EQ(first, frame);
      EXPECT_EQ(packet.port, port);
      const auto answer = back(frame);
      const sys::OutPacket out{port, {}, answer};
      (*io)->send({&out, 1});
      EXPECT_EQ(device.take(flow % 3), answer);
    }
    EXPECT_EQ(device.flushes(), 30U);  // once a batch
    device.unplug();
    const auto lost = flow_frame(0, 0);
    const sys::OutPacket out{port, {}, lost};
    (*io)->send({&out, 1});
    EXPECT_EQ((*io)->counts().refused, 1U);
    (*io)->detach(port);
  });
}

TEST(PacketIo, BusyQueuesKeepNobodyWaitingForLongerThanABatchOfEach) {
  in_private_network([] {
    testing::EventLoop loop;
    auto io = SystemPacketIo::open(loop.executor(), loopback());
    auto other = SystemPacketIo::open(loop.executor(), loopback());
    auto busy = std::make_unique<testing::MemoryDevice>(4);
    auto calm = std::make_unique<testing::MemoryDevice>(2);
    auto& guest = *busy;
    auto& neighbour = *calm;
    static_cast<void>((*io)->attach(std::move(busy)));
    const auto port = (*io)->attach(std::move(calm));
    // Two of the queues have super-frames, two small ones: neither the batch's memory nor its places are for all.
    for (std::size_t queue = 0; queue < 4; ++queue) {
      for (int i = 0; i < 1000; ++i) guest.put(queue, queue < 2 ? ByteVector(65'000) : test_frame("busy"));
    }
    static_cast<void>((*io)->receive());
    neighbour.put(1, test_frame("calm"));
    const auto text = as_bytes("a datagram");
    const sys::OutPacket datagram{0, (*io)->local(), text};
    (*other)->send({&datagram, 1});
    int frame_came = 0;
    int datagram_came = 0;
    for (int batch = 1; batch <= 6; ++batch) {
      for (const auto& packet : (*io)->receive()) {
        if (packet.port == port) frame_came = batch;
        if (packet.port == 0) datagram_came = batch;
      }
    }
    EXPECT_EQ(datagram_came, 1);
    EXPECT_GT(frame_came, 0);
    EXPECT_LE(frame_came, 5);
    for (std::size_t queue = 0; queue < 4; ++queue) EXPECT_LT(guest.waiting(queue), 1000U) << queue;
  });
}

TEST(PacketIo, ATakenPortIsAConflict) {
  in_private_network([] {
    testing::EventLoop loop;
    auto a = SystemPacketIo::open(loop.executor(), loopback());
    ASSERT_TRUE(a);
    EXPECT_EQ(SystemPacketIo::open(loop.executor(), (*a)->local()).error().code, Errc::conflict);
  });
}

}  // namespace
}  // namespace godwit::os
