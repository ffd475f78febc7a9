// Long work as it goes on: bars that move on a terminal, else a line for each thing that happens.
#pragma once

#include "cli/terminal.h"
#include "sys/clock.h"
#include "wire/cluster.h"

#include <map>
#include <string>

namespace godwit::cli {

// Until a cluster's members are ready, or it is gone.
class ClusterProgress {
 public:
  // Both outlive it.
  ClusterProgress(Terminal& terminal, sys::Clock& clock)
      : terminal_(terminal), clock_(clock), began_(clock.now()), live_(terminal) {}
  void show(const wire::ClusterView& cluster);

 private:
  void draw(const wire::ClusterView& cluster);
  void tell(const wire::ClusterView& cluster);

  Terminal& terminal_;
  sys::Clock& clock_;
  TimePoint began_;
  LiveLines live_;
  std::map<std::string, std::string> said_;  // what was told of each member, and of the cluster as ""
};

// Some migrations at once.
class MigrationProgress {
 public:
  // `names`: of the members, by instance.
  MigrationProgress(Terminal& terminal, sys::Clock& clock, std::map<std::string, std::string> names)
      : terminal_(terminal), clock_(clock), names_(std::move(names)), began_(clock.now()), live_(terminal) {}
  void show(const wire::MigrationReport& report);

 private:
  [[nodiscard]] std::string line_of(const wire::MigrationReport& report) const;
  [[nodiscard]] std::size_t name_columns() const;
  [[nodiscard]] std::string name_of(const wire::MigrationReport& report) const;

  Terminal& terminal_;
  sys::Clock& clock_;
  std::map<std::string, std::string> names_;
  TimePoint began_;
  LiveLines live_;
  std::map<std::string, wire::MigrationReport> latest_;  // by id
};

// How much of its work a migration has done, 0 to 1. Pre-copy may go back when the guest writes faster.
[[nodiscard]] double part_done(const wire::MigrationReport& report);

}  // namespace godwit::cli
