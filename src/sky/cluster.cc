#include "sky/cluster.h"

#include "sky/addresses.h"

#include <algorithm>

namespace godwit::sky {
namespace {

using wire::InstanceState;

bool is_alive(const wire::InstanceView& view) {
  return view.state != InstanceState::terminated && view.state != InstanceState::moved;
}

}  // namespace

Cluster::Cluster(sys::Runtime& runtime, Store& store, Accounts& accounts, Pace pace, ClusterRecord record,
                 ImageComes image_comes, std::function<void()> changed)
    : runtime_(runtime),
      store_(store),
      accounts_(accounts),
      pace_(pace),
      record_(std::move(record)),
      image_comes_(std::move(image_comes)),
      changed_(std::move(changed)),
      log_(runtime.log.named("sky." + record_.spec.name)),
      wake_(runtime.executor),
      gate_(runtime.executor) {}

void Cluster::start() {
  for (const auto& cloud : record_.clouds) {
    sights_.try_emplace(cloud);
    if (followed_.insert(cloud).second) gate_.spawn(follow(cloud));
  }
}

sys::Task<void> Cluster::stop() { return gate_.close(); }

wire::ClusterView Cluster::view() const { return view_of(record_, sights_, migrations_); }

// ---- the loop of one cloud

sys::Task<void> Cluster::follow(std::string cloud) {
  Millis retry = pace_.retry;
  while (true) {
    const auto seen = generation_;
    const auto visited = co_await visit(cloud);
    auto& sight = sights_[cloud];
    if (!visited && sight.problem.empty()) log_.warn("{}", visited.error().message);
    if (visited && !sight.problem.empty()) log_.info("{}: all right again", cloud);
    sight.problem = visited ? "" : visited.error().message;
    settle();
    if (!followed_.contains(cloud)) co_return;  // it has let go of a cluster that is deleted
    const auto deadline = runtime_.clock.now() + (visited ? interval() : retry);
    retry = visited ? pace_.retry : std::min(retry * 2, pace_.retry_most);
    while (generation_ == seen && runtime_.clock.now() < deadline) co_await wake_.wait_until(runtime_.clock, deadline);
  }
}

sys::Task<Result<>> Cluster::visit(std::string cloud) {
  const auto client = accounts_.client(cloud);
  if (!client) co_return pass(client);
  if (record_.deleting) co_return co_await clear(cloud, *client);
  const auto network = co_await tell_network(cloud, *client);
  if (!network) co_return network;
  const auto peers = co_await tell_peers(cloud, *client);
  if (!peers) co_return peers;
  // Whom it knows only now it could not believe before: where their instances are is said again.
  if (sights_[cloud].network_told.empty()) {
    const auto again = co_await tell_network(cloud, *client);
    if (!again) co_return again;
  }
  const auto looked = co_await look(cloud, *client);
  if (!looked) co_return looked;
  const auto ended = co_await terminate_wanted(cloud, *client);
  if (!ended) co_return ended;
  co_return co_await launch_missing(cloud, *client);
}

// The membership, with the newest locations, is told when it has changed; else the cloud is asked for its own.
sys::Task<Result<>> Cluster::tell_network(std::string cloud, CloudClient client) {
  const auto wanted = wire::encode(record_.network);
  bool tell = sights_[cloud].network_told != wanted;
  if (!tell) {
    const auto said = co_await client.network(record_.network.id);
    if (!said && said.error().code != Errc::not_found) co_return pass(said);
    if (said) absorb(cloud, *said);
    tell = !said;
    if (tell) sights_[cloud].peers_told.clear();  // it has forgotten the network, so all of it
  }
  if (!tell) co_return Result<>{};
  const auto said = co_await client.put_network(record_.network);
  if (!said && said.error().code == Errc::conflict) redraw_vni();
  if (!said) co_return pass(said);
  sights_[cloud].network_told = wanted;
  absorb(cloud, *said);
  co_return Result<>{};
}

// A cloud that says that it has what it was not given is not passed on: it would stand in the way of who has it.
void Cluster::absorb(const std::string& cloud, const wire::Network& said) {
  const auto believes = [&](const wire::Member& member, const wire::Location& newest) {
    const auto authorities = authorities_of_all();
    if (!authorities) return true;  // the clouds judge it all the same
    const auto proven = overlay::prove_member(record_.network, member, member.location, newest, *authorities,
                                              runtime_.clock.wall_now());
    if (!proven) log_.warn("{}: {}", cloud, proven.error().message);
    return proven.has_value();
  };
  if (absorb_locations(record_, cloud, said, believes)) record_changed();
  absorb_lan(cloud, said);
}

// On disk before any cloud is told: a sky that was started anew might name another one, while the first goes on.
void Cluster::absorb_lan(const std::string& cloud, const wire::Network& said) {
  const auto before = record_.network.uplink;
  if (!absorb_uplink(record_, cloud, said)) return;
  const auto saved = save();
  if (saved) return record_changed();
  log_.error("{}", saved.error().message);
  record_.network.uplink = before;
}

// Nothing where the CA of one of them is not known here.
std::optional<overlay::Authorities> Cluster::authorities_of_all() const {
  overlay::Authorities out;
  for (const auto& cloud : record_.clouds) {
    const auto pem = accounts_.ca_pem(cloud);
    auto authority = pem ? crypto::Authority::from_pem(cloud, *pem) : pass(pem);
    if (!authority) return std::nullopt;
    out.emplace(cloud, std::move(*authority));
  }
  return out;
}

sys::Task<Result<>> Cluster::tell_peers(std::string cloud, CloudClient client) {
  const auto peers = peers_of(cloud);
  if (!peers) co_return pass(peers);
  const auto wanted = wire::encode(*peers);
  if (sights_[cloud].peers_told == wanted) co_return Result<>{};
  const auto told = co_await client.put_peers(record_.network.id, *peers);
  if (!told) co_return told;
  sights_[cloud].peers_told = wanted;
  sights_[cloud].network_told.clear();
  co_return Result<>{};
}

sys::Task<Result<>> Cluster::look(std::string cloud, CloudClient client) {
  auto said = co_await client.instances();
  if (!said) co_return pass(said);
  auto& sight = sights_[cloud];
  sight.reached = true;
  sight.instances.clear();
  for (auto& view : said->instances) {
    if (!find(view.spec.id)) continue;
    view.cloud = cloud;  // whoever says it: that is where it was asked
    const auto id = view.spec.id;
    sight.instances[id] = std::move(view);
  }
  co_return Result<>{};
}

sys::Task<Result<>> Cluster::terminate_wanted(std::string cloud, CloudClient client) {
  std::vector<std::string> wanted;
  for (const auto& member : record_.members) {
    if (member.terminating) wanted.push_back(member.instance);
  }
  for (const auto& instance : wanted) {
    const auto found = sights_[cloud].instances.find(instance);
    const bool alive = found != sights_[cloud].instances.end() && is_alive(found->second);
    const auto* record = member(instance);
    if (alive) {
      const auto ended = co_await client.terminate(instance);
      if (!ended && ended.error().code != Errc::not_found) co_return ended;
    } else if (record && record->cloud == cloud) {
      forget_member(instance);
    }
  }
  co_return Result<>{};
}

sys::Task<Result<>> Cluster::launch_missing(std::string cloud, CloudClient client) {
  std::vector<std::string> missing;
  for (const auto& member : record_.members) {
    if (member.cloud == cloud && !member.launched && !member.terminating &&
        !sights_[cloud].instances.contains(member.instance)) {
      missing.push_back(member.instance);
    }
  }
  if (missing.empty() || image_comes_(record_.spec.image, cloud)) co_return Result<>{};
  for (const auto& instance : missing) {
    const auto launched = co_await launch(cloud, client, instance);
    if (!launched) co_return launched;
  }
  co_return Result<>{};
}

// A refusal is kept with the member and tried again later; only what keeps the cloud from answering is an error.
sys::Task<Result<>> Cluster::launch(std::string cloud, CloudClient client, std::string instance) {
  const auto* wanted = member(instance);
  if (!wanted || record_.deleting) co_return Result<>{};
  const auto request = run_request(*wanted);
  if (!request) co_return pass(request);
  auto view = co_await client.run(*request);
  auto* member = find(instance);
  if (!member) co_return Result<>{};
  auto& sight = sights_[cloud];
  if (view) {
    log_.info("{}: {} is launched as {}", cloud, member->name, instance);
    view->cloud = cloud;
    member->launched = true;
    sight.refused.erase(instance);
    sight.instances[instance] = std::move(*view);
    co_return save();
  }
  const auto code = view.error().code;
  if (code == Errc::unavailable || code == Errc::timed_out || code == Errc::not_authentic || code == Errc::closed) {
    co_return pass(view);
  }
  sight.refused[instance] = view.error().message;
  // `exhausted` is a definite no: the id is not in use there, so it may be used elsewhere.
  if (code == Errc::exhausted && place_elsewhere(*member)) co_return save();
  co_return Result<>{};
}

sys::Task<Result<>> Cluster::clear(std::string cloud, CloudClient client) {
  const auto looked = co_await look(cloud, client);
  if (!looked) co_return looked;
  std::vector<std::string> alive;
  for (const auto& [id, view] : sights_[cloud].instances) {
    if (is_alive(view)) alive.push_back(id);
  }
  Result<> outcome;  // one that can't be ended now keeps none of the others
  for (const auto& id : alive) {
    if (sights_[cloud].instances[id].state == InstanceState::shutting_down) continue;
    const auto ended = co_await client.terminate(id);
    if (!ended && ended.error().code != Errc::not_found) outcome = ended;
  }
  if (!alive.empty()) co_return outcome;
  const auto removed = co_await client.delete_network(record_.network.id);
  if (!removed && removed.error().code != Errc::not_found) co_return removed;
  std::erase(record_.clouds, cloud);
  const auto saved = save();
  if (!saved) {
    record_.clouds.push_back(cloud);
    co_return saved;
  }
  followed_.erase(cloud);
  log_.info("{}: nothing of the cluster is left there", cloud);
  changed_();  // it may have been the last
  co_return Result<>{};
}

// ---- what is told

Result<wire::NetworkPeers> Cluster::peers_of(const std::string& cloud) const {
  wire::NetworkPeers peers;
  for (const auto& other : record_.clouds) {
    if (other == cloud) continue;
    auto pem = accounts_.ca_pem(other);
    if (!pem) return pass(pem);
    peers.clouds.push_back({other, std::move(*pem)});
  }
  return peers;
}

Result<wire::RunInstanceRequest> Cluster::run_request(const MemberRecord& member) const {
  ClusterContext context;
  context.cluster = record_.spec.name;
  context.domain = record_.network.domain;
  context.login = record_.login;
  context.host = record_.host;
  context.user_data = record_.spec.user_data;
  wire::RunInstanceRequest request;
  for (const auto& each : record_.network.members) {
    // Those that have joined since are not in the first word to a member: asking again must be asking the same.
    if (each.wireguard_key.empty()) context.members.push_back({each.name, each.ip, each.roles});
    if (each.instance == member.instance) request.interface = {record_.network.id, each.mac, each.ip};
  }
  auto user_data = user_data_of(context, member.name);
  if (!user_data) return pass(user_data);
  request.id = member.instance;
  request.name = member.name;
  request.cluster = record_.spec.name;
  request.roles = member.roles;
  request.type = member.type;
  request.image = record_.spec.image;
  request.ssh_keys = record_.spec.ssh_keys;
  request.user_data = std::move(*user_data);
  return request;
}

// ---- wishes

Result<> Cluster::erase() {
  if (record_.deleting) return {};
  record_.deleting = true;
  const auto saved = save();
  if (!saved) {
    record_.deleting = false;
    return saved;
  }
  record_changed();
  return {};
}

Result<> Cluster::set_security_groups(std::vector<wire::SecurityGroup> groups) {
  if (groups == record_.network.groups) return {};
  std::swap(groups, record_.network.groups);
  const auto saved = save();
  if (!saved) {
    std::swap(groups, record_.network.groups);
    return saved;
  }
  record_changed();
  return {};
}

Result<> Cluster::terminate(const std::string& instance) {
  auto* member = find(instance);
  if (!member) return fail(Errc::not_found, "cluster {}: {} is no member", record_.spec.name, instance);
  if (member->terminating) return {};
  member->terminating = true;
  const auto saved = save();
  if (!saved) {
    member->terminating = false;
    return saved;
  }
  record_changed();
  return {};
}

Result<> Cluster::join(const wire::LeafRequest& request) {
  if (record_.deleting) return fail(Errc::conflict, "network {}: its cluster is being deleted", record_.network.name);
  auto wanted = record_;
  const auto added = add_leaf(wanted, request, runtime_.random);
  return added ? become(std::move(wanted)) : added;
}

Result<> Cluster::leave(const std::string& name) {
  auto wanted = record_;
  const auto removed = remove_leaf(wanted, name);
  return removed ? become(std::move(wanted)) : removed;
}

Result<> Cluster::become(ClusterRecord record) {
  if (wire::encode(record.network) == wire::encode(record_.network)) return {};
  std::swap(record, record_);
  const auto saved = save();
  if (!saved) {
    std::swap(record, record_);
    return saved;
  }
  record_changed();
  return {};
}

Result<> Cluster::include(const std::string& cloud) {
  const auto known = accounts_.client(cloud);
  if (!known) return pass(known);
  if (std::find(record_.clouds.begin(), record_.clouds.end(), cloud) != record_.clouds.end()) return {};
  record_.clouds.push_back(cloud);
  const auto saved = save();
  if (!saved) {
    record_.clouds.pop_back();
    return saved;
  }
  record_changed();
  start();
  return {};
}

bool Cluster::introduced(const std::string& cloud) const {
  const auto sight = sights_.find(cloud);
  const auto peers = peers_of(cloud);
  return sight != sights_.end() && peers && sight->second.network_told == wire::encode(record_.network) &&
         sight->second.peers_told == wire::encode(*peers);
}

const MemberRecord* Cluster::member(const std::string& instance) const {
  const auto found = std::find_if(record_.members.begin(), record_.members.end(),
                                  [&](const MemberRecord& each) { return each.instance == instance; });
  return found == record_.members.end() ? nullptr : &*found;
}

MemberRecord* Cluster::find(const std::string& instance) { return const_cast<MemberRecord*>(member(instance)); }

void Cluster::set_migration(const std::string& instance, const std::string& migration) {
  if (migration.empty()) {
    migrations_.erase(instance);
  } else {
    migrations_[instance] = migration;
  }
  changed_();
}

void Cluster::settle_at(const std::string& instance, const std::string& cloud) {
  auto* member = find(instance);
  if (!member || member->cloud == cloud) return wake();
  member->cloud = cloud;
  const auto saved = save();
  if (!saved) log_.error("{}", saved.error().message);  // the clouds know it too: the next round says it again
  wake();
}

// Whoever had it before can't hand it off, or may not have: a person has made sure of the rest.
void Cluster::grant(const std::string& instance, const std::string& cloud) {
  for (auto& member : record_.network.members) {
    if (member.instance != instance) continue;
    member.granted_to = cloud;
    member.granted_version = member.location.version + (member.location.cloud == cloud ? 0 : 1);
    const auto saved = save();
    if (!saved) log_.error("{}", saved.error().message);
    record_changed();
  }
}

void Cluster::wake() { record_changed(); }

// ---- bookkeeping

// The next cloud that has not refused it yet: of those that the user named, or of all accounts.
bool Cluster::place_elsewhere(MemberRecord& member) {
  if (member.pinned || member.launched) return false;
  const auto candidates = record_.spec.clouds.empty() ? accounts_.clouds() : record_.spec.clouds;
  for (const auto& cloud : candidates) {
    const auto sight = sights_.find(cloud);
    if (sight != sights_.end() && sight->second.refused.contains(member.instance)) continue;
    const auto from = std::exchange(member.cloud, cloud);
    if (!include(cloud)) {
      member.cloud = from;
      continue;
    }
    log_.info("{} is placed at {}: {} has no room", member.name, cloud, from);
    record_changed();
    return true;
  }
  return false;
}

// Somebody else has it at one of the clouds. All are told the new one; frames are lost until they have heard.
void Cluster::redraw_vni() {
  record_.network.vni = draw_vni(runtime_.random);
  const auto saved = save();
  if (!saved) log_.error("{}", saved.error().message);
  record_changed();
}

void Cluster::forget_member(const std::string& instance) {
  const auto before = record_;
  std::erase_if(record_.members, [&](const MemberRecord& each) { return each.instance == instance; });
  std::erase_if(record_.network.members, [&](const wire::Member& each) { return each.instance == instance; });
  const auto saved = save();
  if (!saved) {
    log_.error("{}", saved.error().message);
    record_ = before;
    return;
  }
  record_changed();
}

// Draws the conclusions from what was just seen, and tells whoever waits for them.
void Cluster::settle() {
  if (absorb_instances(record_, sights_, runtime_.clock.wall_now())) {
    const auto saved = save();
    if (!saved) log_.error("{}", saved.error().message);
  }
  auto now = wire::encode(view());
  if (now == last_view_) return;
  last_view_ = std::move(now);
  changed_();
}

Millis Cluster::interval() const {
  if (!migrations_.empty() || record_.deleting) return pace_.busy;
  const bool calm = std::all_of(record_.members.begin(), record_.members.end(),
                                [](const MemberRecord& each) { return each.ready && !each.terminating; });
  return calm ? pace_.calm : pace_.busy;
}

Result<> Cluster::save() {
  const auto saved = store_.save(record_);
  if (!saved) return fail(saved, "cluster " + record_.spec.name + ": its record can't be written");
  return {};
}

void Cluster::record_changed() {
  ++generation_;
  wake_.notify();
  changed_();
}

}  // namespace godwit::sky
