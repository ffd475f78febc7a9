#include "cloud/lan_holding.h"

#include <algorithm>

namespace godwit::cloud {
namespace {

// A host that does it without a lease goes on for as long as it lives: nobody but its own operator knows that it
// doesn't.
bool may_end(const LanHolding& now, Nanos silence, bool offers) {
  return silence >= kLanSilence && (!offers || (now.leased && now.accepted));
}

}  // namespace

LanHolding next_holding(const LanHolding& now, Nanos silence, std::span<const LanOffer> offers) {
  const auto offers_it = [&](const std::string& host) {
    return std::ranges::find(offers, host, &LanOffer::host) != offers.end();
  };
  const bool leased = offers.size() > 1;
  if (now.host.empty() || may_end(now, silence, offers_it(now.host))) {
    const auto next =
        std::ranges::find_if(offers, [&](const LanOffer& each) { return each.serves && each.host != now.host; });
    // It has nothing yet: what it hears of says at once whether it is leased.
    if (next != offers.end()) return {next->host, now.version + 1, leased, leased};
    if (now.host.empty() || offers_it(now.host)) return now;
    return {"", now.version + 1, false, false};
  }
  if (leased == now.leased || !offers_it(now.host)) return now;
  return {now.host, now.version + 1, leased, false};
}

LanHolding accepted_by_host(LanHolding now, std::uint64_t version) {
  if (now.leased && version == now.version) now.accepted = true;
  return now;
}

}  // namespace godwit::cloud
