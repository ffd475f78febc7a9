#include "wire/network.h"

#include "base/id.h"

namespace godwit::wire {

Result<> validate(const Network& network) {
  const auto bad = [&](std::string_view field, std::string_view rule) {
    return fail(Errc::invalid_argument, "network {}: {} {}", is_id("net", network.id) ? network.id : "?", field, rule);
  };
  if (!is_id("net", network.id)) return bad("id", "must be net- and 17 hex digits");
  if (!is_label(network.name)) return bad("name", "must be a DNS label");
  if (network.vni == 0 || network.vni >= (1U << 24U)) return bad("vni", "must be 1 to 16777215");
  if (network.mtu < 576 || network.mtu > 9000) return bad("mtu", "must be 576 to 9000");
  if (network.key.size() != 64 || !from_hex(network.key)) return bad("key", "must be 32 bytes in hex");
  if (network.members.size() > 4096) return bad("members", "must be at most 4096");
  for (const auto& member : network.members) {
    if (!is_id("i", member.instance)) return bad("members", "must name instances by their ids");
    if (!is_label(member.name)) return bad("members", "must have DNS labels as names");
    if (member.location.record.size() > kRecordText) return bad("members", "must have records of 700 bytes at most");
    if (member.location.claim.size() > kClaimText) return bad("members", "must have claims of 3900 bytes at most");
  }
  return {};
}

}  // namespace godwit::wire
