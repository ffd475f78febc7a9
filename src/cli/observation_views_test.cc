#include "cli/observation_views.h"

#include <gtest/gtest.h>

namespace godwit::cli {
namespace {

wire::NetworkObservation observed() {
  wire::NetworkObservation seen;
  seen.network.id = "net-1";
  seen.network.gateway = "10.77.0.1";
  seen.network.members = {{"i-1", "demo-1", "02:67:00:00:00:01", "10.77.0.10", {}, {}},
                          {"i-2", "demo-2", "02:67:00:00:00:02", "10.77.0.11", {}, {}}};
  auto& a = seen.hosts.emplace_back();
  a.cloud = "cloud-a";
  a.host = "a1";
  a.interval_ms = 5000;
  a.pairs = {{"net-1", "02:67:00:00:00:01", "02:67:00:00:00:02", 5000, 7'500'000},
             {"net-1", "02:67:00:00:00:01", "ff:ff:ff:ff:ff:ff", 5, 300},
             {"net-1", "06:66:77:00:00:00", "02:67:00:00:00:01", 10, 5000}};
  a.flows = {{"net-1", "tcp", "10.77.0.10", 40000, "10.77.0.11", 22, 4992, 7'488'000},
             {"net-1", "udp", "fe80::1", 5353, "ff02::fb", 5353, 64, 6400}};
  a.peers = {{"cloud-b", "b1", wire::SessionKind::native, wire::PathKind::direct, "10.1.0.2:4790", 40.21, 0.0, 65.0,
              5'000'000, 50'000}};
  auto& b = seen.hosts.emplace_back();
  b.cloud = "cloud-b";
  b.host = "b1";
  b.interval_ms = 5000;
  b.pairs = {{"net-1", "02:67:00:00:00:02", "02:67:00:00:00:01", 2500, 165'000}};
  b.peers = {{"cloud-a", "a1", wire::SessionKind::native, wire::PathKind::relayed, "192.0.2.9:4791", 85.0, 0.031, 64.0,
              50'000, 5'000'000},
             {"cloud-a", "a2", wire::SessionKind::native, wire::PathKind::none, "", {}, {}, {}, 0, 0}};
  return seen;
}

TEST(ObservationViews, TopNamesWhoTalksMostFirst) {
  EXPECT_EQ(top_text(observed()),
            "FROM       TO              BYTES/S  PACKETS/S\n"
            "demo-1     demo-2        1.4 MiB/s       1000\n"
            "demo-2     demo-1       32.2 KiB/s        500\n"
            "(gateway)  demo-1         1000 B/s          2\n"
            "demo-1     (broadcast)      60 B/s          1\n"
            "\n"
            "FLOW  FROM            TO                 BYTES/S  PACKETS/S\n"
            "tcp   demo-1:40000    demo-2:22        1.4 MiB/s       ~998\n"
            "udp   [fe80::1]:5353  [ff02::fb]:5353  1.2 KiB/s        ~13\n");
  EXPECT_EQ(top_text({}), "Nothing was said in the last seconds.\n");
}

TEST(ObservationViews, StatusSaysWhatIsWrongFirst) {
  auto seen = observed();
  seen.problems = {"cloud cloud-c can't be reached"};
  EXPECT_EQ(
      status_text(seen),
      "! cloud cloud-c can't be reached\n"
      "HOST        PEER        PATH     BY                  RTT  LOSS        OUT         IN    SESSION  PROFILE  "
      "PROBLEM\n"
      "cloud-b/b1  cloud-a/a2  none     -                     -     -      0 B/s      0 B/s          -  native   no "
      "way to "
      "it is known\n"
      "cloud-b/b1  cloud-a/a1  relayed  192.0.2.9:4791  85.0 ms  3.1%  9.8 KiB/s  977 KiB/s  1 min 4 s  native   loses "
      "datagrams\n"
      "cloud-a/a1  cloud-b/b1  direct   10.1.0.2:4790   40.2 ms  0.0%  977 KiB/s  9.8 KiB/s  1 min 5 s  native   -\n");
}

}  // namespace
}  // namespace godwit::cli
