// JSON messages between processes and from people, and their validation.
// Input: which message (one letter), and the JSON.
#include "base/assert.h"
#include "support/input.h"
#include "wire/cloud_api.h"
#include "wire/cluster.h"
#include "wire/host.h"
#include "wire/invitation.h"
#include "wire/switch_control.h"

namespace {

using namespace godwit;

// What is read is written so that it is read as the same.
template <class T>
std::optional<T> read(std::string_view text) {
  auto message = wire::decode<T>(text);
  if (!message) return {};
  const auto written = wire::encode(*message);
  const auto again = wire::decode<T>(written);
  GODWIT_ASSERT(again && wire::encode(*again) == written);
  return std::move(*message);
}

// A number may lose its last digit, as Boost's JSON reads it; nothing else changes.
void read_any(std::string_view text) {
  const auto value = wire::decode<wire::json::value>(text);
  if (value) GODWIT_ASSERT(wire::decode<wire::json::value>(wire::encode(*value)));
}

void read_network(std::string_view text) {
  auto network = read<wire::Network>(text);
  if (!network) return;
  static_cast<void>(wire::validate(*network));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto kind = input.byte();
  const auto text = input.text();
  switch (kind) {
    case 'a': read<wire::Account>(text); break;
    case 'c': read<wire::ClusterSpec>(text); break;
    case 'd': read<wire::DesiredState>(text); break;
    case 'e': static_cast<void>(wire::error_of(500, text)); break;
    case 'f': read<wire::FenceRequest>(text); break;
    case 'g': read<wire::TicketGrant>(text); break;
    case 'h': read<wire::HostReport>(text); break;
    case 'i':
      if (const auto spec = read<wire::InstanceSpec>(text)) static_cast<void>(wire::validate(*spec));
      break;
    case 'j': read<wire::JoinRequest>(text); break;
    case 'm': read<wire::MigrateRequest>(text); break;
    case 'n': read_network(text); break;
    case 'p': read<wire::SwitchReply>(text); break;
    case 'q': read<wire::TicketRequest>(text); break;
    case 'r': read<wire::RedeemRequest>(text); break;
    case 's': read<wire::SwitchRequest>(text); break;
    case 't': read<wire::TicketClaims>(text); break;
    case 'u': read<wire::RunInstanceRequest>(text); break;
    case 'v': read<wire::Invitation>(text); break;
    case 'w': read<wire::ClusterView>(text); break;
    default: read_any(text); break;
  }
  return 0;
}
