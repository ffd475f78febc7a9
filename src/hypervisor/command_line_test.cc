#include "hypervisor/machine.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace godwit::hypervisor {
namespace {

MachineSpec machine(std::uint32_t vcpus) {
  MachineSpec spec;
  spec.id = "i-0123456789abcdef0";
  spec.directory = "/instances/i-0123456789abcdef0";
  spec.vcpus = vcpus;
  spec.queue_pairs = vcpus;
  spec.machine_type = "pc-q35-7.2";
  spec.cpu_model = "Nehalem";
  spec.accelerator = "tcg";
  spec.mac = "02:67:00:00:00:01";
  spec.mtu = 1500;
  return spec;
}

// What stands behind `option` where it begins so; empty where nothing does.
std::string after(const std::vector<std::string>& line, const std::string& option, const std::string& beginning) {
  for (auto at = line.begin(); at != line.end(); ++at) {
    if (*at == option && at + 1 != line.end() && (at + 1)->starts_with(beginning)) return *(at + 1);
  }
  return {};
}

// To the letter: what an instance of an earlier Godwit arrives from was started so.
TEST(CommandLine, ANetworkDeviceOfOneQueuePairIsWhatItAlwaysWas) {
  const auto line = command_line({}, machine(1), Launch::cold, {3});
  EXPECT_EQ(after(line, "-netdev", "tap"), "tap,id=net0,fd=3,vhost=off");
  EXPECT_EQ(after(line, "-device", "virtio-net"), "virtio-net-pci,netdev=net0,mac=02:67:00:00:00:01,host_mtu=1500");
}

TEST(CommandLine, SeveralQueuePairsHaveADescriptorAndTwoInterruptsEach) {
  const auto line = command_line({}, machine(4), Launch::incoming, {3, 4, 5, 6});
  EXPECT_EQ(after(line, "-netdev", "tap"), "tap,id=net0,fds=3:4:5:6,vhost=off");
  EXPECT_EQ(after(line, "-device", "virtio-net"),
            "virtio-net-pci,netdev=net0,mac=02:67:00:00:00:01,host_mtu=1500,mq=on,vectors=10");
}

TEST(CommandLine, AMachineWithoutNetworkHasNoDevice) {
  const auto line = command_line({}, machine(1), Launch::deferred, {});
  EXPECT_EQ(after(line, "-netdev", ""), "");
  EXPECT_EQ(after(line, "-device", "virtio-net"), "");
}

}  // namespace
}  // namespace godwit::hypervisor
