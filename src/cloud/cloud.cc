#include "cloud/cloud.h"

namespace godwit::cloud {
namespace {

constexpr std::chrono::hours kPruneEvery{1};
constexpr std::chrono::hours kTerminatedKept{1};   // as EC2 shows them
constexpr std::chrono::hours kTicketKept{24};      // to say of a used one when that was
constexpr std::chrono::hours kSnapshotKept{24};    // for who asks what became of it
constexpr std::chrono::hours kMovedKept{24 * 30};  // a host that comes back after this must be asked by hand
constexpr std::chrono::hours kMigrationKept{24 * 30};

}  // namespace

Result<std::unique_ptr<Cloud>> Cloud::open(Parts parts) {
  auto settings = load_settings(parts.database);
  if (!settings) return pass(settings);
  std::unique_ptr<Cloud> cloud(new Cloud(std::move(parts), std::move(*settings)));
  for (const auto& started : {cloud->hosts_.start(), cloud->networks_.start()}) {
    if (!started) return pass(started);
  }
  return cloud;
}

Cloud::Cloud(Parts parts, Settings settings)
    : core_(std::move(parts), std::move(settings)),
      accounts_(core_),
      hosts_(core_),
      images_(core_),
      instances_(core_, hosts_),
      tickets_(core_, hosts_),
      migrations_(core_, hosts_),
      networks_(core_, hosts_),
      gate_(core_.executor()) {}

void Cloud::start() { gate_.spawn(keep_house()); }

sys::Task<void> Cloud::stop() { return gate_.close(); }

sys::Task<void> Cloud::keep_house() {
  for (;;) {
    const auto pruned = prune();
    if (!pruned) core_.log().error("housekeeping: {}", pruned.error().message);
    co_await core_.clock().sleep_for(kPruneEvery);
  }
}

Result<> Cloud::prune() {
  const auto before = [&](std::chrono::hours kept) { return core_.now_ms() - Millis{kept}.count(); };
  return core_.database().write(Durability::relaxed, [&](Sql& sql) -> Result<> {
    sql.run("DELETE FROM instances WHERE state = 'terminated' AND ended_ms < $1", before(kTerminatedKept));
    sql.run("DELETE FROM instances WHERE state = 'moved' AND ended_ms < $1", before(kMovedKept));
    sql.run("DELETE FROM tickets WHERE used_ms = 0 AND expires_ms < $1", core_.now_ms());
    sql.run("DELETE FROM tickets WHERE expires_ms < $1", before(kTicketKept));
    sql.run("DELETE FROM migrations WHERE closed_ms <> 0 AND closed_ms < $1", before(kMigrationKept));
    static_cast<void>(expire_snapshots(sql, core_));
    sql.run("DELETE FROM snapshots WHERE ended_ms <> 0 AND ended_ms < $1", before(kSnapshotKept));
    sql.run("DELETE FROM join_tokens WHERE expires_ms < $1", before(kTicketKept));
    return {};
  });
}

}  // namespace godwit::cloud
