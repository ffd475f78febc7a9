// The agent's end of the switch's control socket: keeps the switch's configuration what it shall be, and announces
// moves.
#pragma once

#include "sys/runtime.h"
#include "wire/switch_control.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace godwit::agent {

// One connection, re-dialled for as long as it lives; the switch may restart at any time and gets the whole
// configuration again. One strand.
class SwitchLink {
 public:
  // `moved` is called when what its cloud is told of the switch has become something else: address, key, LAN leases.
  SwitchLink(sys::Runtime& runtime, std::string socket_path, std::function<void()> moved);
  ~SwitchLink();

  void start();
  [[nodiscard]] sys::Task<void> stop();

  // The whole of what the switch shall be from now on. Does nothing when it is that already.
  void configure(wire::SwitchConfig config);

  // The whole of what the switch may join to LANs from now on: told at once, and with each configuration.
  void lease(std::vector<wire::SwitchLease> leases);
  // The lease without which the switch does not join that network to its LAN, as it has acknowledged; 0: none.
  [[nodiscard]] std::uint64_t lan_lease_of(const std::string& network) const;

  // Tells all peers that the instance is here; returns when they know, or when the switch stops waiting (100 ms at
  // most). Errors: unavailable when the switch does not answer within 250 ms: the caller goes on.
  [[nodiscard]] sys::Task<Result<wire::SwitchReply>> announce(wire::SwitchAnnounce announce);

  // Frames for an instance that stands still are kept from now on, or no longer. Errors: as announce(); the switch ends
  // a hold by itself when nobody else does.
  [[nodiscard]] sys::Task<Result<wire::SwitchReply>> hold(wire::SwitchHold which, bool held);

  // What it saw in its last whole interval. Errors: as announce(), and unsupported (an older switch).
  [[nodiscard]] sys::Task<Result<wire::Observation>> observe();

  // Where the switch's UDP socket is; empty until it has answered once.
  [[nodiscard]] const std::string& overlay_ip() const { return overlay_ip_; }
  [[nodiscard]] std::uint16_t overlay_port() const { return overlay_port_; }
  // With which key it speaks; empty likewise, or where it has none.
  [[nodiscard]] const std::string& overlay_key() const { return overlay_key_; }
  // This host's own address inside the overlay, where others dial it; empty likewise.
  [[nodiscard]] const std::string& host_address() const { return host_address_; }

 private:
  struct Waiting;
  [[nodiscard]] sys::Task<void> run();
  [[nodiscard]] sys::Task<void> send_changes();
  [[nodiscard]] sys::Task<Result<>> read_replies(sys::Stream& stream);
  [[nodiscard]] sys::Task<Result<wire::SwitchReply>> ask(wire::SwitchRequest request);
  void take(wire::SwitchReply reply);

  sys::Runtime& runtime_;
  std::string socket_path_;
  std::function<void()> moved_;
  sys::Gate gate_;
  sys::Signal changed_;
  std::unique_ptr<sys::Stream> stream_;  // while connected
  bool writing_{false};
  sys::Signal written_;
  wire::SwitchConfig wanted_;
  std::string wanted_text_;   // as JSON, to see a change
  std::string applied_text_;  // what the connected switch has acknowledged
  std::vector<wire::SwitchLease> leases_;
  std::vector<wire::SwitchLease> told_leases_;          // those that the connected switch has acknowledged
  std::map<std::string, std::uint64_t> needed_leases_;  // as it has acknowledged last, by network
  std::map<std::uint64_t, Waiting*> waiting_;
  std::uint64_t next_id_{1};
  std::string overlay_ip_;
  std::uint16_t overlay_port_{0};
  std::string overlay_key_;
  std::string host_address_;
};

}  // namespace godwit::agent
