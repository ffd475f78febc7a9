// What a migration asks of the hypervisor and of the agent around it: one instance's QEMU as the source's or the
// destination's end. The real ones speak QMP; the simulation and the tests have their own.
//
// Every operation may be cancelled, and may fail with Errc::unavailable when its QEMU is dead or hangs. No destructor
// touches a QEMU: it outlives us, as it outlives the agent.
#pragma once

#include "sys/stream.h"
#include "wire/migration.h"

#include <memory>
#include <string>

namespace godwit::migrate {

// The name of the one disk in the destination's NBD export and in the source's NBD client. Never taken from the peer.
inline constexpr const char* kDiskExport = "disk0";

// Unix sockets of this host, in a directory that only the instance's QEMU and its agent can enter.
struct GuestSockets {
  std::string disk;    // NBD
  std::string memory;  // QEMU's migration stream
  unsigned owner_uid{0};
};

// A running instance that shall leave. Calls come in the order in which they stand here.
class SourceGuest {
 public:
  virtual ~SourceGuest() = default;

  // Where we listen before start_disk() and start_memory(); QEMU dials.
  [[nodiscard]] virtual GuestSockets sockets() const = 0;
  // Starts to mirror the top overlay alone to sockets().disk. From now on each write of the guest goes there too.
  [[nodiscard]] virtual sys::Task<Result<>> start_disk(std::uint64_t max_bytes_per_s) = 0;
  // Returns when the mirror has caught up and follows, at most a little behind. Errors: io where the mirror has failed.
  [[nodiscard]] virtual sys::Task<Result<>> wait_disk_ready() = 0;
  // Starts to send memory to sockets().memory, with the switchover held back: QEMU pauses before it.
  [[nodiscard]] virtual sys::Task<Result<>> start_memory(wire::MigrationOptions options) = 0;
  // Returns when the vCPUs stand still and QEMU waits for continue_switchover(). Errors: io where QEMU's migration
  // failed.
  [[nodiscard]] virtual sys::Task<Result<>> wait_paused() = 0;
  // Lets the mirror copy what is left, and ends it in order: returns after its last write was acknowledged and flushed.
  [[nodiscard]] virtual sys::Task<Result<>> end_disk() = 0;
  // Lets QEMU send the rest and returns when it says "completed". From then on it never resumes by itself; before, it
  // does when something fails.
  [[nodiscard]] virtual sys::Task<Result<>> continue_switchover() = 0;

  // May be called at any time between start_disk() and completion.
  [[nodiscard]] virtual sys::Task<Result<wire::MigrationProgress>> progress() = 0;
  // Another limit of QEMU's own part of the pause; it is taken at any time before the pause.
  [[nodiscard]] virtual sys::Task<Result<>> allow_pause(std::uint32_t downtime_limit_ms) = 0;
  // Throttles the vCPUs until the rounds converge; QEMU takes it at any time.
  [[nodiscard]] virtual sys::Task<Result<>> allow_auto_converge() = 0;
  // Ends the rounds now, whatever is left: wait_paused() returns soon. The rest follows after the switchover, from
  // here: continue_switchover() returns when that begins. Only where start_memory() was given the option.
  [[nodiscard]] virtual sys::Task<Result<>> start_post_copy() = 0;

  // Gives up whatever of the above was started, and lets the vCPUs run, whatever state QEMU is in; also after
  // "completed", and also when a predecessor of this agent started it. Called only while this side has the instance.
  // Not an error when they run already. Whoever listens on sockets() closes every connection of the attempt first: a
  // quiet one holds QEMU's main loop, one that ends during the next attempt crashes it (qemu-migration-control.md, 6,
  // 7); but a post-copy is cancelled before. Errors: unavailable when QEMU is dead: then the agent boots the instance
  // anew.
  [[nodiscard]] virtual sys::Task<Result<>> resume() = 0;
  // Returns when QEMU is dead.
  [[nodiscard]] virtual sys::Task<void> wait_dead() = 0;
};

// An instance that shall arrive: our own QEMU, paused, with our own overlay.
class DestinationGuest {
 public:
  virtual ~DestinationGuest() = default;

  // Where QEMU listens: an NBD server that exports kDiskExport for writing, and the migration stream.
  [[nodiscard]] virtual GuestSockets sockets() const = 0;
  // Of one that was received for post-copy: what its QEMU says against that. Empty: it can.
  [[nodiscard]] virtual std::string post_copy_problem() const = 0;
  // Returns when devices and memory are loaded, by post-copy a part of the memory; the vCPUs stand still. Errors: io
  // where loading failed.
  [[nodiscard]] virtual sys::Task<Result<>> wait_loaded() = 0;
  // Returns when no memory is missing: at once, unless it comes by post-copy. Errors: io, unavailable: it never will
  // be whole, and its QEMU is of no use any more.
  [[nodiscard]] virtual sys::Task<Result<>> wait_whole() = 0;
  // Stops the NBD server, and returns when everything written is on disk, as a crash of the host leaves it.
  [[nodiscard]] virtual sys::Task<Result<>> finish_disk() = 0;
  // Starts the vCPUs. Not an error when they run already. Errors: unavailable when QEMU is dead.
  [[nodiscard]] virtual sys::Task<Result<>> start() = 0;
  [[nodiscard]] virtual sys::Task<void> wait_dead() = 0;
};

// The instances of this host; the agent's part. One object serves every migration.
class Guests {
 public:
  virtual ~Guests() = default;

  // Errors: not_found where there is no such instance here, unavailable where its QEMU doesn't run.
  [[nodiscard]] virtual sys::Task<Result<std::unique_ptr<SourceGuest>>> open_source(std::string instance) = 0;
  // Makes directory, overlay, TAP and a paused QEMU of our own command line for an admitted instance. Checks again what
  // only this host can know (image present, machine type, memory). Leaves nothing behind when it fails. `post_copy`:
  // asks QEMU for it; see post_copy_problem().
  [[nodiscard]] virtual sys::Task<Result<std::unique_ptr<DestinationGuest>>> receive(wire::InstanceSpec spec,
                                                                                     bool post_copy) = 0;
  // The QEMU that an earlier agent received, still paused. Errors: unavailable when it is dead.
  [[nodiscard]] virtual sys::Task<Result<std::unique_ptr<DestinationGuest>>> open_received(std::string instance) = 0;
  // Kills the QEMU in which it has arrived, if that is still there: its memory is lost. The disk stays.
  [[nodiscard]] virtual sys::Task<Result<>> end_received(std::string instance) = 0;
  // Kills whatever QEMU of the instance is here and deletes its directory, disk included. Returns when it is gone; not
  // an error when there is nothing.
  [[nodiscard]] virtual sys::Task<Result<>> destroy(std::string instance) = 0;
};

// That an instance is here, with that version, and what shows it to others: statements of clouds as base64url, see
// docs/decisions/location-records.md. Empty where there are none.
struct LocationProof {
  std::uint64_t version{0};
  std::string record;
  std::vector<std::string> hand_offs;
};

// The overlay's part of a switchover.
class Locations {
 public:
  virtual ~Locations() = default;
  // Says to every peer host that the instance is here now, with the record's version and proof. Returns when all have
  // acknowledged, or after min(1 RTT + 10 ms, 100 ms). Cannot fail: a peer that missed it learns from its next
  // configuration.
  [[nodiscard]] virtual sys::Task<void> announce(wire::InstanceSpec spec, LocationProof proof) = 0;
  // The instance, which is here, stands still for a hand-over: frames for it are kept, and go to where it is announced.
  // With `held` false it runs on here, and gets them. Cannot fail: frames are lost then, as on any network.
  [[nodiscard]] virtual sys::Task<void> hold(wire::InstanceSpec spec, bool held) = 0;
};

// The words with clouds that a migration needs. Each call is idempotent and bounds its own time.
class Clouds {
 public:
  virtual ~Clouds() = default;
  // Destination to its own cloud. Errors: denied, not_authentic, exhausted, … with the reason, which the source is
  // told.
  [[nodiscard]] virtual sys::Task<Result<wire::RedeemAnswer>> redeem(wire::RedeemRequest request) = 0;
  // Source to its own cloud, after its own vote: asks it to vote released. The answer is its vote: never none.
  [[nodiscard]] virtual sys::Task<Result<wire::Decision>> release(std::string migration) = 0;
  // Destination to the source's cloud, which its TLS name must prove: asks it to vote aborted. The answer is its vote,
  // with the hand-offs where that is released.
  [[nodiscard]] virtual sys::Task<Result<wire::DecisionAnswer>> resolve(std::string cloud, std::string api_url,
                                                                        std::string migration) = 0;
};

}  // namespace godwit::migrate
