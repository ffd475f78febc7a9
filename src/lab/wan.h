// lab/wan.h: the emulated WAN as a whole: routes IPv4 packets between sites, over one Link for each direction.
// Pure: packets and times in, packets out. One thread.
#pragma once

#include "lab/wan_table.h"

#include <functional>
#include <optional>
#include <vector>

namespace godwit::lab {

class Wan {
 public:
  explicit Wan(WanSetup setup);

  // Links that stay keep what they hold; packets on a link whose row is gone still arrive.
  void reshape(TimePoint now, const WanTable& table);
  // `packet` is an IP packet that came in from site `port`.
  void accept(TimePoint now, std::uint32_t port, Packet packet);
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;
  // Gives each packet that is due to `deliver`, in order for each link.
  void deliver_due(TimePoint now, const std::function<void(std::uint32_t port, Packet packet)>& deliver);

  [[nodiscard]] const std::vector<WanPort>& ports() const { return ports_; }
  [[nodiscard]] WanCounters counters() const;

 private:
  struct Lane {
    WanRow row;
    Link link;
    bool retired{false};
  };
  [[nodiscard]] std::optional<std::uint32_t> port_of(std::uint32_t address) const;

  std::vector<WanPort> ports_;
  std::uint64_t seed_;
  std::vector<Lane> lanes_;  // in the order of the table; at most kMostWanRows and those that still drain
  WanCounters counters_;     // but for the rows
};

}  // namespace godwit::lab
