// The link-local addresses that a port uses and its MAC doesn't give (RFC 7217): the newest few. Pure.
#pragma once

#include "wire/ipv6.h"

#include <algorithm>
#include <array>

namespace godwit::overlay {

constexpr std::size_t kMostLinkLocals = 4;  // a port

class LinkLocals {
 public:
  [[nodiscard]] bool has(const wire::Ipv6& address) const {
    return !address.is_unspecified() && std::ranges::find(list_, address) != list_.end();
  }
  // Forgets the oldest where there is no room.
  void add(const wire::Ipv6& address) {
    if (!has(address)) list_[next_++ % kMostLinkLocals] = address;
  }

 private:
  std::array<wire::Ipv6, kMostLinkLocals> list_{};  // ::, which is none, where nothing is yet
  std::size_t next_{0};
};

}  // namespace godwit::overlay
