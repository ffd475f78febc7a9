#include "hypervisor/guest_memory.h"

#include <gtest/gtest.h>

namespace godwit::hypervisor {
namespace {

constexpr std::string_view kMaps =
    "55d0c0000000-55d0c0a00000 r-xp 00000000 fe:00 1 /usr/bin/qemu-system-x86_64\n"
    "7f2b00000000-7f2b40000000 rwxp 00000000 00:00 0\n"
    "7f2c00000000-7f2c04000000 rw-p 00000000 00:00 0\n"
    "7f2c04000000-7f2c08000000 rw-p 00000000 00:00 0\n"
    "7f2d00000000-7f2d00021000 rw-p 00000000 00:00 0 [heap]\n"
    "7f2e00000000-7f2e10000000 ---p 00000000 00:00 0\n";

TEST(GuestMemory, FindsTheGuestsMemoryInAQemu) {
  const auto ranges = guest_memory(kMaps);
  ASSERT_TRUE(ranges) << ranges.error().message;
  EXPECT_EQ(*ranges, (std::vector<MemoryRange>{{0x7f2c00000000, 0x7f2c08000000}}));
}

TEST(GuestMemory, FindsNoneInAnotherProcess) {
  for (const auto* maps :
       {"", "\n\n", "-", "1-", "ffffffffffffffff-0 rw-p\n", "7f2d00000000-7f2d00021000 rw-p [heap]\n"}) {
    const auto ranges = guest_memory(maps);
    ASSERT_FALSE(ranges) << maps;
    EXPECT_EQ(ranges.error().code, Errc::not_found);
  }
}

}  // namespace
}  // namespace godwit::hypervisor
