// Every migration of one host, in both directions: what an agent holds and asks. docs/protocols/migration.md is what it
// speaks with the other host's agent; migrate/handover.h decides who owns an instance.
//
// How an agent uses it:
//   Service service(runtime, self, "/var/lib/godwit/migrations", guests, locations, clouds, [&] { wake(); });
//   service.restore();                  // before anything is started: standing() is right from here on
//   service.start(std::move(listener)); // takes up what was open, and accepts
//   each round:  for (order : desired.migrations) service.order({order, spec, location_version});
//                for each instance: standing(id) says what may be done with it
//                report.migrations = service.reports(); report.unsettled = service.unsettled();
//                a report whose phase is final and which the cloud has answered: service.forget(id)
#pragma once

#include "migrate/encoding.h"
#include "migrate/guest.h"
#include "sys/runtime.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace godwit::migrate {

// What the agent may do with an instance, as far as migrations go. Read anew after each on_changed.
enum class Standing : std::uint8_t {
  may_run = 1,   // no migration stands against it: start, adopt, cold-boot, stop, delete as its cloud desires
  leaving,       // runs here while it is copied: leave its QEMU alone, also when that dies (it becomes may_run soon)
  must_not_run,  // arriving, or in doubt: never start it, never delete it
  gone,          // the other side has it: its QEMU and directory were deleted or are being deleted here
};

// An instance that this host owns by a migration, and that the agent takes over: with its QEMU, which runs, or without,
// when it has died: then cold boot from its disk. Listed until forget().
struct Arrival {
  std::string migration;
  wire::InstanceSpec spec;
  LocationProof location;
};

// Who this host is. `api_url` is its cloud's API as hosts of other clouds reach it (DesiredState::api_url).
struct Self {
  std::string cloud;
  std::string host;
  std::string api_url;
};

struct Order {
  wire::MigrationOrder order;
  wire::InstanceSpec spec;            // of the instance here; not read for a migration that is known
  std::uint64_t location_version{0};  // of this host's claim; the destination claims one more
};

class Service final {
 public:
  // `encodings`: what is tried before ZstdEncoding, best first. The references live until stop() has returned (or die
  // with the executor). `on_changed`: standing(), arrivals() or reports() may say something new. Called on the
  // runtime's executor, never from inside a call of ours.
  Service(sys::Runtime runtime, Self self, std::string records_directory, Guests& guests, Locations& locations,
          Clouds& clouds, std::vector<Encoding*> encodings, std::function<void()> on_changed);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // Reads the records. Errors: io, or protocol where a record can't be read: then nothing may be started on this host,
  // for it may belong to another.
  [[nodiscard]] Result<> restore();
  void start(std::unique_ptr<sys::PeerListener> listener);
  // Accepts there too, instead of at what this was last called with.
  void listen_too(std::unique_ptr<sys::PeerListener> listener);
  // Cancels everything; records and QEMUs stay as they are for the next start.
  [[nodiscard]] sys::Task<void> stop();

  // Level-triggered and idempotent by order.id. A new id begins a migration of an instance that runs here; for one that
  // is known (as source or destination), `cancel`, `decision` and `fence` are taken up. An order that can't begin is
  // reported as aborted, with the reason.
  void order(const Order& order);

  // may_run for an instance that no migration knows.
  [[nodiscard]] Standing standing(const std::string& instance) const;
  [[nodiscard]] std::vector<Arrival> arrivals() const;
  [[nodiscard]] std::vector<wire::MigrationReport> reports() const;
  // Whether one has begun, in either direction, and not ended here: true from when order() or a peer's Hello began it.
  [[nodiscard]] bool under_way() const;
  // Migrations whose other side may still come for our word, or we for its: the two hosts must believe each other.
  [[nodiscard]] std::vector<std::string> unsettled() const;
  // The switches of the hosts that we dial now, or may have to dial again.
  [[nodiscard]] std::vector<wire::SwitchPoint> dialled() const;

  // The cloud has recorded the final report of this migration, and the agent has taken over its arrival. Dropped as
  // soon as the other side doesn't need our answer any more. Nothing happens for one that is not final.
  void forget(const std::string& migration);

  // Sets what was not known at construction (a new agent learns its cloud's address with its first desired state).
  void set_self(Self self);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::migrate
