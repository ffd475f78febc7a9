#include "os/taps.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <unistd.h>

namespace godwit::os {
namespace {

TEST(Taps, ADeviceLivesAsLongAsItsDescriptor) {
  if (::geteuid() != 0 || ::access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "needs root and /dev/net/tun";
  SystemTaps taps;
  const auto name = fmt::format("gwt{}", ::getpid());
  const auto device = taps.open_for_guest(name, 1400);
  ASSERT_TRUE(device) << device.error().message;
  EXPECT_NE(::if_nametoindex(name.c_str()), 0U);
  const auto again = taps.open_for_guest(name, 1400);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::conflict);
  taps.close_descriptor(*device);
  EXPECT_EQ(::if_nametoindex(name.c_str()), 0U);
}

TEST(Taps, ANameThatNoDeviceCanHaveIsRefused) {
  SystemTaps taps;
  for (const char* name : {"", "sixteen-letters-", "a/b", "a b", "tap%d"}) {
    const auto device = taps.open_for_guest(name, 1400);
    ASSERT_FALSE(device) << name;
    EXPECT_EQ(device.error().code, Errc::invalid_argument);
  }
}

}  // namespace
}  // namespace godwit::os
