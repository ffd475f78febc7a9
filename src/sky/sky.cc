#include "sky/sky.h"

#include "sky/plan.h"

#include <algorithm>

namespace godwit::sky {
namespace {

constexpr std::size_t kClusterLimit = 256;

// Two requests are the same when they say the same, in whatever order their fields came.
bool same_spec(const wire::ClusterSpec& a, const wire::ClusterSpec& b) { return wire::encode(a) == wire::encode(b); }

std::unexpected<Error> no_cluster(const std::string& name) {
  return fail(Errc::not_found, "cluster \"{}\": there is none of that name (godwit cluster list shows them)",
              name.substr(0, 64));
}
std::unexpected<Error> no_instance(const std::string& id) {
  return fail(Errc::not_found, "instance \"{}\": no cluster has it (godwit instance list shows them)",
              id.substr(0, 64));
}

}  // namespace

Result<std::unique_ptr<Sky>> Sky::open(sys::Runtime& runtime, const SkyOptions& options) {
  auto store = Store::open(runtime.files, options.state_directory);
  if (!store) return pass(store);
  auto accounts = store->accounts();
  if (!accounts) return pass(accounts);
  auto clusters = store->clusters();
  if (!clusters) return pass(clusters);
  auto migrations = store->migrations();
  if (!migrations) return pass(migrations);
  const auto groups = store->security_groups();
  if (!groups) return pass(groups);
  auto images = store->images();
  if (!images) return pass(images);
  auto repository = std::make_unique<image::Repository>(runtime, options.state_directory + "/images");
  const auto taken_up = repository->start();
  if (!taken_up) return fail(taken_up, "images");
  std::unique_ptr<Sky> sky(new Sky(runtime, options, std::move(*store), std::move(*accounts), std::move(*migrations),
                                   *groups, std::move(repository), std::move(*images)));
  for (auto& record : *clusters) {
    record.network.groups = sky->groups_.of(record.network);  // a change may have been cut short
    sky->add(std::move(record));
  }
  return sky;
}

Sky::Sky(sys::Runtime& runtime, const SkyOptions& options, Store store, std::vector<wire::Account> accounts,
         std::vector<MigrationRecord> migrations, const std::vector<wire::SecurityGroup>& groups,
         std::unique_ptr<image::Repository> repository, std::vector<ImageRecord> images)
    : runtime_(runtime),
      pace_(options.pace),
      store_(std::move(store)),
      accounts_(runtime, store_, std::move(accounts)),
      groups_(store_, groups),
      unstarted_(std::move(migrations)),
      migrations_(runtime, store_, accounts_, *this, options.pace, [this] { changed(); }),
      repository_(std::move(repository)),
      images_(runtime, store_, accounts_, *repository_, options.pace, std::move(images), [this] { changed(); }),
      change_(runtime.executor),
      log_(runtime.log.named("sky")),
      gate_(runtime.executor) {}

void Sky::start() {
  for (const auto& [name, cluster] : clusters_) cluster->start();
  migrations_.start(std::move(unstarted_));
  unstarted_.clear();
  images_.start();
  gate_.spawn(sweep());
}

sys::Task<void> Sky::stop() {
  co_await gate_.close();
  co_await migrations_.stop();
  co_await images_.stop();
  co_await repository_->stop();
  for (const auto& [name, cluster] : clusters_) co_await cluster->stop();
}

// ---- accounts

sys::Task<Result<wire::AccountView>> Sky::put_account(wire::Account account) {
  auto view = co_await accounts_.put(std::move(account));
  if (!view) co_return pass(view);
  for (const auto& [name, cluster] : clusters_) cluster->wake();  // the CA or the token may be new
  co_return std::move(*view);
}

Result<> Sky::remove_account(const std::string& cloud) {
  for (const auto& [name, cluster] : clusters_) {
    const auto& clouds = cluster->record().clouds;
    if (std::find(clouds.begin(), clouds.end(), cloud) != clouds.end()) {
      return fail(Errc::conflict, "remove account {}: cluster {} has used it (delete the cluster first)", cloud, name);
    }
  }
  if (migrations_.uses(cloud)) return fail(Errc::conflict, "remove account {}: a migration is under way there", cloud);
  return accounts_.remove(cloud);
}

sys::Task<wire::AccountList> Sky::accounts() {
  wire::AccountList list;
  list.accounts = co_await accounts_.views();
  co_return list;
}

sys::Task<wire::CloudHostsList> Sky::hosts() {
  wire::CloudHostsList list;
  list.clouds = co_await accounts_.hosts();
  co_return list;
}

// ---- clusters

sys::Task<Result<wire::ClusterView>> Sky::create_cluster(wire::ClusterSpec spec) {
  const auto valid = validate(spec);
  if (!valid) co_return pass(valid);
  const auto grouped = groups_.check(spec.security_groups);
  if (!grouped) co_return fail(grouped, "create cluster " + spec.name);
  const auto existing = [&]() -> std::optional<Result<wire::ClusterView>> {
    const auto* cluster = find_cluster(spec.name);
    if (!cluster) return std::nullopt;
    if (cluster->record().deleting) {
      return fail(Errc::conflict, "create cluster {}: one of that name is being deleted (wait until it is gone)",
                  spec.name);
    }
    if (!same_spec(cluster->record().spec, spec)) {
      return fail(Errc::conflict, "create cluster {}: there is another of that name (delete it, or choose a name)",
                  spec.name);
    }
    return cluster->view();
  };
  if (auto found = existing()) co_return std::move(*found);
  if (clusters_.size() >= kClusterLimit) {
    co_return fail(Errc::exhausted, "create cluster {}: there are {}, the most there may be", spec.name, kClusterLimit);
  }
  const auto accounts = co_await accounts_.views();
  if (auto found = existing()) co_return std::move(*found);  // another call was quicker
  std::vector<const ClusterRecord*> others;
  for (const auto& [name, cluster] : clusters_) others.push_back(&cluster->record());
  auto record = draw_cluster(spec, accounts, others, runtime_.random, runtime_.clock.wall_now());
  if (!record) co_return pass(record);
  record->network.groups = groups_.of(record->network);
  const auto saved = store_.save(*record);
  if (!saved) co_return fail(saved, "create cluster " + spec.name);
  add(std::move(*record));
  auto* cluster = find_cluster(spec.name);
  cluster->start();
  changed();
  co_return cluster->view();
}

wire::ClusterList Sky::clusters() const {
  wire::ClusterList list;
  for (const auto& [name, cluster] : clusters_) list.clusters.push_back(cluster->view());
  return list;
}

Result<wire::ClusterView> Sky::cluster(const std::string& name) const {
  const auto found = clusters_.find(name);
  if (found == clusters_.end()) return no_cluster(name);
  return found->second->view();
}

Result<wire::ClusterView> Sky::delete_cluster(const std::string& name) {
  auto* cluster = find_cluster(name);
  if (!cluster) return no_cluster(name);
  const auto erased = cluster->erase();
  if (!erased) return pass(erased);
  migrations_.cancel_all(name);
  return cluster->view();
}

// ---- security groups

Result<wire::SecurityGroup> Sky::tell_clusters(Result<wire::SecurityGroup> changed) {
  if (!changed) return changed;
  for (const auto& [name, cluster] : clusters_) {
    const auto told = cluster->set_security_groups(groups_.of(cluster->record().network));
    if (!told) return fail(told, fmt::format("security group {}: tell cluster {}", changed->name, name));
  }
  return changed;
}

Result<wire::SecurityGroup> Sky::create_security_group(wire::SecurityGroup group) {
  return groups_.create(std::move(group));
}

Result<> Sky::delete_security_group(const std::string& name) {
  for (const auto& [cluster_name, cluster] : clusters_) {
    for (const auto& member : cluster->record().network.members) {
      if (std::ranges::find(member.groups, name) != member.groups.end()) {
        return fail(Errc::conflict, "delete security group {}: {} of cluster {} is in it (delete the cluster first)",
                    name.substr(0, 64), member.name, cluster_name);
      }
    }
  }
  return groups_.remove(name);
}

Result<wire::SecurityGroup> Sky::authorize(const std::string& name, const wire::RuleChange& change) {
  return tell_clusters(groups_.authorize(name, change));
}

Result<wire::SecurityGroup> Sky::revoke(const std::string& name, const wire::RuleChange& change) {
  return tell_clusters(groups_.revoke(name, change));
}

// ---- instances and networks

sys::Task<Result<wire::InstanceView>> Sky::instance(std::string id) {
  const auto* cluster = cluster_of(id);
  if (!cluster) co_return no_instance(id);
  const auto client = accounts_.client(cluster->member(id)->cloud);
  if (!client) co_return pass(client);
  auto view = co_await client->instance(id);
  if (!view) co_return pass(view);
  view->spec.user_data.clear();
  co_return std::move(*view);
}

sys::Task<Result<wire::SnapshotView>> Sky::snapshot(std::string id, wire::SnapshotRequest request) {
  const auto* cluster = cluster_of(id);
  if (!cluster) co_return no_instance(id);
  if (images_.view(request.name)) {
    co_return fail(Errc::conflict, "snapshot of {}: there is an image {} already (godwit image rm, or another name)",
                   id, request.name);
  }
  const auto client = accounts_.client(cluster->member(id)->cloud);
  if (!client) co_return pass(client);
  request.id = runtime_.random.id("snap");
  co_return co_await client->snapshot(id, request);
}

sys::Task<wire::SnapshotList> Sky::snapshots() { co_return co_await accounts_.snapshots(); }

Result<> Sky::terminate(const std::string& instance) {
  auto* cluster = cluster_of(instance);
  if (!cluster) return no_instance(instance);
  return cluster->terminate(instance);
}

Result<Cluster*> Sky::network(const std::string& id_or_name) const {
  for (const auto& [name, cluster] : clusters_) {
    const auto& known = cluster->record().network;
    if (known.id == id_or_name || known.name == id_or_name) return cluster.get();
  }
  return fail(Errc::not_found, "network \"{}\": there is none (godwit network list shows them)",
              id_or_name.substr(0, 64));
}

Result<wire::LeafList> Sky::join(const std::string& id, const wire::LeafRequest& request) {
  const auto cluster = network(id);
  if (!cluster) return pass(cluster);
  for (const auto& [name, other] : clusters_) {
    const auto& members = other->record().network.members;
    const bool has = std::ranges::find(members, request.key, &wire::Member::wireguard_key) != members.end();
    if (other.get() == *cluster || request.key.empty() || !has) continue;
    return fail(Errc::conflict, "network {}: join {}: the key is a member of network {} (one key a network)",
                (*cluster)->record().network.name, request.name.substr(0, 64), other->record().network.name);
  }
  const auto joined = (*cluster)->join(request);
  if (!joined) return pass(joined);
  return (*cluster)->leaves();
}

Result<wire::LeafList> Sky::leave(const std::string& id, const std::string& name) {
  const auto cluster = network(id);
  if (!cluster) return pass(cluster);
  const auto left = (*cluster)->leave(name);
  if (!left) return pass(left);
  return (*cluster)->leaves();
}

Result<wire::LeafList> Sky::leaves(const std::string& id) const {
  const auto cluster = network(id);
  if (!cluster) return pass(cluster);
  return (*cluster)->leaves();
}

wire::NetworkList Sky::networks() const {
  wire::NetworkList list;
  for (const auto& [name, cluster] : clusters_) {
    list.networks.push_back(cluster->record().network);
    list.networks.back().key.clear();
  }
  return list;
}

// ---- migrations

Result<wire::MigrationList> Sky::migrate_cluster(const std::string& name, const wire::MoveRequest& request) {
  auto* cluster = find_cluster(name);
  if (!cluster) return no_cluster(name);
  return migrations_.move(*cluster, request);
}

Result<wire::MigrationList> Sky::migrate_instance(const std::string& id, wire::MoveRequest request) {
  auto* cluster = cluster_of(id);
  if (!cluster) return no_instance(id);
  request.members = {cluster->member(id)->name};
  return migrations_.move(*cluster, request);
}

Result<wire::MigrationReport> Sky::migration(const std::string& id) const {
  const auto* record = migrations_.find(id);
  if (!record) {
    return fail(Errc::not_found, "migration \"{}\": there is none (godwit migration list shows them)",
                id.substr(0, 64));
  }
  return record->report;
}

sys::Task<Result<wire::FenceAnswer>> Sky::fence(std::string instance, wire::FenceRequest request) {
  const auto* record =
      request.migration.empty() ? migrations_.of_instance(instance) : migrations_.find(request.migration);
  if (!record || record->instance != instance) {
    co_return fail(Errc::not_found, "fence {}: it has no {}", instance,
                   request.migration.empty() ? "migration" : "migration " + request.migration.substr(0, 64));
  }
  request.migration = record->id;
  const std::vector<std::string> clouds{record->from, record->to};
  wire::FenceAnswer answer;
  Error last;
  for (const auto& cloud : clouds) {
    const auto client = accounts_.client(cloud);
    Result<> told;
    if (client) {
      told = co_await client->fence(instance, request);
    } else {
      told = pass(client);
    }
    if (told) {
      answer.told.push_back(cloud);
    } else {
      last = told.error();
      answer.problems[cloud] = last.message;
    }
  }
  if (answer.told.empty()) co_return std::unexpected(last.within("fence " + instance + ": no cloud took it"));
  auto* cluster = cluster_of(instance);
  const auto* migration = migrations_.find(request.migration);
  if (cluster && migration && request.winner == wire::MigrationRole::destination)
    cluster->grant(instance, migration->to);
  co_return answer;
}

// ---- inside

sys::Task<void> Sky::wait_change(std::uint64_t seen, TimePoint deadline) {
  while (version_ == seen && runtime_.clock.now() < deadline) co_await change_.wait_until(runtime_.clock, deadline);
}

Cluster* Sky::find_cluster(const std::string& name) {
  const auto found = clusters_.find(name);
  return found == clusters_.end() ? nullptr : found->second.get();
}

Cluster* Sky::cluster_of(const std::string& instance) {
  for (const auto& [name, cluster] : clusters_) {
    if (cluster->member(instance)) return cluster.get();
  }
  return nullptr;
}

void Sky::add(ClusterRecord record) {
  const auto name = record.spec.name;
  clusters_[name] = std::make_unique<Cluster>(
      runtime_, store_, accounts_, pace_, std::move(record),
      [this](const auto& image, const auto& cloud) { return images_.comes_to(image, cloud); }, [this] { changed(); });
}

void Sky::changed() {
  ++version_;
  change_.notify();
}

// Takes away the clusters of which nothing is left.
sys::Task<void> Sky::sweep() {
  while (true) {
    const auto seen = version_;
    std::vector<std::string> gone;
    for (const auto& [name, cluster] : clusters_) {
      if (cluster->gone()) gone.push_back(name);
    }
    for (const auto& name : gone) {
      co_await clusters_.at(name)->stop();
      const auto removed = store_.remove_cluster(name);
      if (!removed) {
        log_.error("cluster {}: its record can't be removed: {}", name, removed.error().message);
        continue;
      }
      clusters_.erase(name);
      log_.info("cluster {} is gone", name);
      changed();
    }
    while (version_ == seen) co_await change_.wait();
  }
}

}  // namespace godwit::sky
