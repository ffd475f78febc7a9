#include "overlay/captures.h"
#include "overlay/test_host.h"

#include <gtest/gtest.h>

namespace godwit::overlay {
namespace {

using namespace testing;

constexpr TimePoint kNow{Seconds{1000}};

TEST(Pcapng, StandsAsTheDraftSays) {
  ByteVector out;
  pcapng::append_section(out, "godwit switch");
  pcapng::append_interface(out, "vm0", 96);
  const auto frame = from_hex("00112233445566778899").value();
  pcapng::append_packet(out, {0, 0x18a1b2c3d4e5f607, pcapng::Direction::outbound, frame, 7, "cut"});
  pcapng::append_statistics(out, 0, 0x18a1b2c3d4e5f607, 5, 2);
  EXPECT_EQ(to_hex(out),
            "0a0d0d0a"
            "00000034"
            "1a2b3c4d"
            "0001"
            "0000"
            "ffffffffffffffff"
            "0004"
            "000d"
            "676f64776974207377697463"
            "68000000"
            "00000000"
            "00000034"
            "00000001"
            "00000028"
            "0001"
            "0000"
            "00000060"
            "0002"
            "0003"
            "766d3000"
            "0009"
            "0001"
            "09000000"
            "00000000"
            "00000028"
            "00000006"
            "0000003c"
            "00000000"
            "18a1b2c3"
            "d4e5f607"
            "00000007"
            "0000000a"
            "0011223344556600"
            "0001"
            "0003"
            "63757400"
            "0002"
            "0004"
            "00000002"
            "00000000"
            "0000003c"
            "00000005"
            "00000034"
            "00000000"
            "18a1b2c3"
            "d4e5f607"
            "0004"
            "0008"
            "0000000000000005"
            "0005"
            "0008"
            "0000000000000002"
            "00000000"
            "00000034");
}

TEST(Capture, WhoReadsTooSlowlyLosesFramesThatAreCountedAndNobodyWaits) {
  Capture capture(kNow, kWallNow, 0);
  const auto frame = guest_frame(0, 1, std::string(1400, 'x'));
  constexpr std::uint64_t kFrames = 10'000;
  for (std::uint64_t i = 0; i < kFrames; ++i) {
    capture.see(kNow, 1, "vm0", pcapng::Direction::inbound, frame, {});
  }
  EXPECT_GT(capture.dropped(), kFrames / 2);
  EXPECT_LE(capture.take().size(), Capture::kMostQueued);
  capture.see(kNow, 1, "vm0", pcapng::Direction::inbound, frame, {});
  EXPECT_LT(capture.dropped(), kFrames) << "there is room again";
  (void)capture.take();
  capture.add_statistics(kNow);
  const auto statistics = to_hex(capture.take());
  EXPECT_NE(statistics.find("00040008" + fmt::format("{:016x}", kFrames + 1)), std::string::npos);
  EXPECT_NE(statistics.find("00050008" + fmt::format("{:016x}", capture.dropped())), std::string::npos);
}

class CapturesTest : public ::testing::Test {
 protected:
  CapturesTest() { EXPECT_TRUE(host.configure(kNow, network_of({1, 1, 2}), {{0, 1}, {1, 1}})); }
  [[nodiscard]] static bool has(ByteView bytes, std::string_view text) {
    return as_text(bytes).find(text) != std::string_view::npos;
  }
  void cross(unsigned guest, ByteVector frame) {
    captures.came(kNow, {guest + 1, {}, frame, {}, 0});
    const std::vector<sys::OutPacket> out{{guest + 1, {}, frame, {}, 0}, {0, host_address(2), frame, {}, 0}};
    captures.goes(kNow, out);
  }

  TestHost host{1, 1};
  Captures captures{host.core().segments()};
};

TEST_F(CapturesTest, OfAnInstanceHasItsFramesBothWaysAndNoOthers) {
  const auto capture = captures.start(kNow, kWallNow, {kNetworkId, instance_id(0), 0});
  ASSERT_TRUE(capture);
  cross(0, guest_frame(0, 1, "MINE"));
  cross(1, guest_frame(1, 0, "ANOTHERS"));
  const auto bytes = (*capture)->take();
  EXPECT_TRUE(has(bytes, "MINE"));
  EXPECT_TRUE(has(bytes, "vm0"));
  EXPECT_FALSE(has(bytes, "ANOTHERS"));
  captures.stop(*capture);
  EXPECT_FALSE(captures.any());
}

TEST_F(CapturesTest, OfWhatIsNotHereIsRefusedAndSoManyRunAtOnce) {
  EXPECT_FALSE(captures.start(kNow, kWallNow, {"net-0000000000000000f", "", 0}));
  for (std::size_t i = 0; i < Captures::kMost; ++i) EXPECT_TRUE(captures.start(kNow, kWallNow, {}));
  EXPECT_EQ(captures.start(kNow, kWallNow, {}).error().code, Errc::exhausted);
}

}  // namespace
}  // namespace godwit::overlay
