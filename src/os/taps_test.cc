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
  for (const unsigned queues : {1U, 4U}) {
    const auto device = taps.open_for_guest(name, 1400, queues);
    ASSERT_TRUE(device) << device.error().message;
    EXPECT_EQ(device->size(), queues);
    EXPECT_NE(::if_nametoindex(name.c_str()), 0U);
    for (const unsigned others : {1U, 4U}) {
      const auto again = taps.open_for_guest(name, 1400, others);
      ASSERT_FALSE(again) << queues << ", " << others;
      EXPECT_EQ(again.error().code, Errc::conflict) << again.error().message;
    }
    for (const int each : *device) taps.close_descriptor(each);
    EXPECT_EQ(::if_nametoindex(name.c_str()), 0U);
  }
}

TEST(Taps, ANameThatNoDeviceCanHaveIsRefused) {
  SystemTaps taps;
  for (const char* name : {"", "sixteen-letters-", "a/b", "a b", "tap%d"}) {
    const auto device = taps.open_for_guest(name, 1400, 1);
    ASSERT_FALSE(device) << name;
    EXPECT_EQ(device.error().code, Errc::invalid_argument);
  }
}

}  // namespace
}  // namespace godwit::os
