// `godwit switch` as an actor on the seams: moves packets, keeps time and devices, answers the control socket, and
// remembers in its state directory what it shall be.
#pragma once

#include "overlay/captures.h"
#include "overlay/control_server.h"
#include "overlay/devices.h"
#include "overlay/relay_link.h"
#include "sys/files.h"
#include "sys/task.h"

#include <map>
#include <memory>

namespace godwit::overlay {

// What a switch finds of its predecessor.
struct SavedState {
  std::string underlay_ip;
  std::uint16_t underlay_port{0};
  wire::SwitchConfig config;
};
BOOST_DESCRIBE_STRUCT(SavedState, (), (underlay_ip, underlay_port, config))

// Nothing when there is none yet. Errors: io, invalid_argument.
[[nodiscard]] Result<std::optional<SavedState>> load_state(sys::Files& files, const std::string& directory);

// Borrowed: they outlive the service.
struct ServiceParts {
  sys::Executor executor;
  sys::Clock& clock;
  sys::Random& random;
  sys::Files& files;
  sys::LocalSockets& local;
  sys::PacketIo& packets;
  sys::SwitchLinks& links;
  Seal& seal;
  Log log;
  std::vector<RelayLink*> relay_links{};  // to those relays that take connections
};

class Service {
 public:
  Service(ServiceParts parts, std::string state_directory);
  ~Service();

  // Takes up `saved`, listens at `control_path` (mode 0600) and runs. Errors: conflict (another switch listens), io.
  [[nodiscard]] Result<> start(const std::string& control_path, const std::optional<SavedState>& saved);
  // Devices stay as they are: frames wait for the next switch.
  [[nodiscard]] sys::Task<void> stop();
  // In Prometheus' text format.
  [[nodiscard]] std::string metrics();

  [[nodiscard]] const Switch& core() const { return core_; }

 private:
  struct Waiting;

  [[nodiscard]] sys::Task<void> move_packets();
  [[nodiscard]] sys::Task<void> keep_time();
  [[nodiscard]] sys::Task<void> keep_devices();
  [[nodiscard]] sys::Task<void> watch_links();
  [[nodiscard]] sys::Task<void> keep_state();
  [[nodiscard]] sys::Task<wire::SwitchReply> answer(wire::SwitchRequest request);
  [[nodiscard]] sys::Task<void> serve_capture(wire::SwitchRequest request, sys::Stream& stream);
  [[nodiscard]] sys::Task<void> answer_announce(const wire::SwitchAnnounce& announce, wire::SwitchReply& reply);
  [[nodiscard]] Result<> configure(const wire::SwitchConfig& config, const std::vector<wire::SwitchLease>& leases);
  void add_stats(wire::SwitchReply& reply) const;

  void poll();
  void flush();
  void on_link(const sys::UdpEndpoint& from, ByteSpan datagram);
  // Wakes whoever waits for what the core has just done.
  void follow_up();
  [[nodiscard]] Result<> save();

  ServiceParts parts_;
  std::string state_path_;
  Switch core_;
  Captures captures_;
  Devices devices_;
  Outbox out_;
  std::map<std::uint64_t, Waiting*> announcing_;  // by ticket
  std::uint64_t next_ticket_{1};
  std::uint64_t saved_generation_{0};
  TimePoint armed_{TimePoint::max()};  // keep_time sleeps until then
  sys::Signal earlier_;
  sys::Signal devices_changed_;
  sys::Signal state_changed_;
  sys::Gate gate_;
  std::unique_ptr<ControlServer> control_;
};

}  // namespace godwit::overlay
