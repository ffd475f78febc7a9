// One cloud: everything behind its API. Its truth is the database alone; any cloud object on the same database carries
// on where the last one stopped, at whatever statement that was.
#pragma once

#include "cloud/accounts.h"
#include "cloud/core.h"
#include "cloud/hosts.h"
#include "cloud/images.h"
#include "cloud/instances.h"
#include "cloud/migrations.h"
#include "cloud/networks.h"
#include "cloud/observations.h"
#include "cloud/snapshots.h"
#include "cloud/tickets.h"

namespace godwit::cloud {

class Cloud {
 public:
  // Errors: not_found (a database that `godwit cloud init` has not made), io.
  [[nodiscard]] static Result<std::unique_ptr<Cloud>> open(Parts parts);
  Cloud(const Cloud&) = delete;
  Cloud& operator=(const Cloud&) = delete;

  // Housekeeping, until stop(): what has ended is forgotten after its time.
  void start();
  [[nodiscard]] sys::Task<void> stop();

  [[nodiscard]] Core& core() { return core_; }
  [[nodiscard]] Accounts& accounts() { return accounts_; }
  [[nodiscard]] Hosts& hosts() { return hosts_; }
  [[nodiscard]] Images& images() { return images_; }
  [[nodiscard]] Instances& instances() { return instances_; }
  [[nodiscard]] Snapshots& snapshots() { return snapshots_; }
  [[nodiscard]] Tickets& tickets() { return tickets_; }
  [[nodiscard]] Migrations& migrations() { return migrations_; }
  [[nodiscard]] Networks& networks() { return networks_; }
  [[nodiscard]] Observations& observations() { return observations_; }

  // Forgets what ended long ago. Called by start() every hour.
  [[nodiscard]] Result<> prune();

 private:
  Cloud(Parts parts, Settings settings);
  [[nodiscard]] sys::Task<void> keep_house();

  Core core_;
  Accounts accounts_;
  Hosts hosts_;
  Images images_;
  Instances instances_;
  Tickets tickets_;
  Migrations migrations_;
  Networks networks_;
  Observations observations_{core_, networks_};
  Snapshots snapshots_{core_};
  sys::Gate gate_;
};

}  // namespace godwit::cloud
