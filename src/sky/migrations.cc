#include "sky/migrations.h"

#include <algorithm>
#include <set>

namespace godwit::sky {
namespace {

constexpr Seconds kIntroductionLimit{30};
constexpr Millis kIntroductionPoll{50};

bool is_transient(Errc code) {
  return code == Errc::unavailable || code == Errc::timed_out || code == Errc::closed || code == Errc::not_authentic;
}

bool is_open(const MigrationRecord& record) { return record.step != MoveStep::ended; }

// As order.h sees it.
Traveller traveller_of(const MigrationRecord& record, bool driven) {
  Traveller out;
  out.id = record.id;
  out.from = record.from;
  out.to = record.to;
  out.from_host = record.report.from_host;
  out.to_host = record.report.to_host;
  out.dirty_bytes_per_s = record.known_dirty_bytes_per_s;
  const auto& encoding = record.options.encoding;
  out.shares = encoding.empty() || encoding == "shrink" || encoding == "dedup";
  const auto& report = record.report;
  if (!is_open(record)) {
    out.course = report.phase == wire::MigrationPhase::completed ? Course::arrived : Course::failed;
  } else if (record.step != MoveStep::queued || driven) {
    const bool crossed = report.progress.rounds > 1 || report.phase >= wire::MigrationPhase::paused;
    out.course = crossed ? Course::crossed : Course::first_round;
  }
  return out;
}

std::uint32_t memory_of(const MemberRecord& member) {
  const auto type = wire::find_instance_type(member.type);
  return type ? type->memory_mib : 0;
}

}  // namespace

Migrations::Migrations(sys::Runtime& runtime, Store& store, Accounts& accounts, ClusterFinder& clusters, Pace pace,
                       std::function<void()> changed)
    : runtime_(runtime),
      store_(store),
      accounts_(accounts),
      clusters_(clusters),
      pace_(pace),
      changed_(std::move(changed)),
      log_(runtime.log.named("sky.migrate")),
      gate_(runtime.executor) {}

void Migrations::start(std::vector<MigrationRecord> known) {
  for (auto& record : known) {
    const auto id = record.id;
    records_[id] = std::move(record);
  }
  for (const auto& [id, record] : records_) {
    auto* cluster = clusters_.find_cluster(record.cluster);
    if (is_open(record) && cluster) cluster->set_migration(record.instance, id);
  }
  schedule();
}

sys::Task<void> Migrations::stop() { return gate_.close(); }

// ---- asking

Result<wire::MigrationList> Migrations::move(Cluster& cluster, const wire::MoveRequest& request) {
  const auto& name = cluster.record().spec.name;
  if (cluster.record().deleting) return fail(Errc::conflict, "migrate cluster {}: it is being deleted", name);
  std::vector<const MemberRecord*> members;
  for (const auto& member : cluster.record().members) {
    const bool all = request.members.empty() && member.cloud != request.to_cloud && !member.terminating;
    const bool named = std::find(request.members.begin(), request.members.end(), member.name) != request.members.end();
    if (all || named) members.push_back(&member);
  }
  for (const auto& wanted : request.members) {
    if (std::none_of(members.begin(), members.end(), [&](const auto* each) { return each->name == wanted; })) {
      return fail(Errc::not_found, "migrate cluster {}: \"{}\" is no member", name, wanted.substr(0, 64));
    }
  }
  // Checked whole before any is drawn: a request is taken or refused as one.
  // The biggest first; else as the cluster has them (they are elements of one vector).
  std::sort(members.begin(), members.end(), [](const auto* a, const auto* b) {
    return memory_of(*a) != memory_of(*b) ? memory_of(*a) > memory_of(*b) : a < b;
  });
  std::vector<MigrationRecord> drawn;
  for (const auto* member : members) {
    auto record = draw(cluster, *member, request);
    if (!record) return pass(record);
    record->place = static_cast<std::uint32_t>(drawn.size());
    drawn.push_back(std::move(*record));
  }
  const auto included = cluster.include(request.to_cloud);
  if (!included) return pass(included);
  wire::MigrationList list;
  for (auto& record : drawn) {
    if (!records_.contains(record.id)) {
      const auto saved = save(record);
      if (!saved) return pass(saved);
    }
    list.migrations.push_back(record.report);
    cluster.set_migration(record.instance, record.id);
    const auto id = record.id;
    records_.try_emplace(id, std::move(record));
  }
  prune();
  schedule();
  return list;
}

Result<MigrationRecord> Migrations::draw(Cluster& cluster, const MemberRecord& member,
                                         const wire::MoveRequest& request) {
  const auto bad = [&](Errc code, std::string_view cause) {
    return fail(code, "migrate {} ({}): {}", member.name, member.instance, cause);
  };
  const auto* open = of_instance(member.instance);
  if (open && is_open(*open)) {
    if (open->to == request.to_cloud) return *open;
    return bad(Errc::conflict, "it is on its way to " + open->to + " (cancel " + open->id + " first, or wait)");
  }
  if (member.cloud == request.to_cloud) return bad(Errc::invalid_argument, "it is at " + member.cloud + " already");
  if (!member.launched) return bad(Errc::conflict, "it is not launched yet (wait until it runs)");
  if (member.terminating) return bad(Errc::conflict, "it is being terminated");
  MigrationRecord record;
  record.id = runtime_.random.id("mig");
  record.cluster = cluster.record().spec.name;
  record.member = member.name;
  record.instance = member.instance;
  record.from = member.cloud;
  record.to = request.to_cloud;
  record.options = request.options;
  if (open) record.known_dirty_bytes_per_s = open->report.progress.dirty_bytes_per_s;
  record.created_ms = runtime_.clock.wall_now().time_since_epoch().count();
  record.report.id = record.id;
  record.report.instance = record.instance;
  record.report.from_cloud = record.from;
  record.report.to_cloud = record.to;
  record.report.started_ms = record.created_ms;
  return record;
}

Result<> Migrations::cancel(const std::string& id) {
  const auto found = records_.find(id);
  if (found == records_.end()) return fail(Errc::not_found, "cancel {}: there is no such migration", id);
  auto& record = found->second;
  if (!is_open(record)) return fail(Errc::conflict, "cancel {}: it has ended", id);
  record.cancel = true;
  const auto saved = save(record);
  if (!saved) return saved;
  if (!driven_.contains(id)) end(record, wire::MigrationPhase::aborted, "cancelled before it began");
  return {};
}

void Migrations::cancel_all(const std::string& cluster) {
  std::vector<std::string> open;
  for (const auto& [id, record] : records_) {
    if (record.cluster == cluster && is_open(record)) open.push_back(id);
  }
  for (const auto& id : open) {
    const auto cancelled = cancel(id);
    if (!cancelled) log_.warn("{}", cancelled.error().message);
  }
}

wire::MigrationList Migrations::list() const {
  std::vector<const MigrationRecord*> sorted;
  sorted.reserve(records_.size());
  for (const auto& [id, record] : records_) sorted.push_back(&record);
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) {
    return std::tuple(-a->created_ms, a->place, a->id) < std::tuple(-b->created_ms, b->place, b->id);
  });
  wire::MigrationList out;
  for (const auto* record : sorted) out.migrations.push_back(record->report);
  return out;
}

const MigrationRecord* Migrations::find(const std::string& id) const {
  const auto found = records_.find(id);
  return found == records_.end() ? nullptr : &found->second;
}

const MigrationRecord* Migrations::of_instance(const std::string& instance) const {
  const MigrationRecord* best = nullptr;
  for (const auto& [id, record] : records_) {
    if (record.instance != instance) continue;
    const auto rank = [](const MigrationRecord& each) { return std::tuple(is_open(each), each.created_ms); };
    if (!best || rank(record) > rank(*best)) best = &record;
  }
  return best;
}

bool Migrations::uses(const std::string& cloud) const {
  return std::any_of(records_.begin(), records_.end(), [&](const auto& each) {
    return is_open(each.second) && (each.second.from == cloud || each.second.to == cloud);
  });
}

// ---- driving

// Those that have begun go on; of the rest, who sets out now is a question of order.
void Migrations::schedule() {
  std::set<std::string> clusters;
  std::vector<std::string> begun;
  for (const auto& [id, record] : records_) {
    if (is_open(record) && record.step != MoveStep::queued && !driven_.contains(id)) begun.push_back(id);
    clusters.insert(record.cluster);
  }
  for (const auto& id : begun) set_out(id);
  for (const auto& cluster : clusters) {
    for (const auto& id : who_sets_out(travellers(cluster), kMigrationsAtOnce)) set_out(id);
  }
}

std::vector<Traveller> Migrations::travellers(const std::string& cluster) const {
  std::vector<Traveller> out;
  for (const auto& [id, record] : records_) {
    if (record.cluster == cluster) out.push_back(traveller_of(record, driven_.contains(id)));
  }
  std::ranges::sort(out, {}, [&](const auto& each) {
    const auto& record = records_.at(each.id);
    return std::tuple(record.created_ms, record.place);
  });
  return out;
}

void Migrations::set_out(const std::string& id) {
  driven_[id] = records_.at(id).cluster;
  gate_.spawn(drive(id));
}

sys::Task<void> Migrations::drive(std::string id) {
  while (is_open(records_.at(id))) {
    const auto moved_on = co_await advance(id);
    auto& record = records_.at(id);
    if (!moved_on) {
      if (record.step == MoveStep::queued) {
        end(record, wire::MigrationPhase::aborted, moved_on.error().message);
      } else {
        log_.warn("{}: {}", id, moved_on.error().message);
      }
    }
    schedule();  // its memory may have crossed
    if (is_open(record) && (!moved_on || record.step == MoveStep::ordered)) {
      const auto pause = moved_on ? pace_.migration : pace_.retry;
      co_await runtime_.clock.sleep_for(pause);
    }
  }
  driven_.erase(id);
  schedule();
}

sys::Task<Result<>> Migrations::advance(std::string id) {
  auto& record = records_.at(id);
  if (!clusters_.find_cluster(record.cluster)) {
    end(record, wire::MigrationPhase::aborted, "its cluster is gone");
    co_return Result<>{};
  }
  if (record.cancel && record.step == MoveStep::queued) {
    end(record, wire::MigrationPhase::aborted, "cancelled before it began");
    co_return Result<>{};
  }
  if (record.cancel) {
    const auto passed = co_await pass_cancel(id);
    if (!passed || !is_open(records_.at(id))) co_return passed;
  }
  switch (records_.at(id).step) {
    case MoveStep::queued: co_return co_await get_ticket(id);
    case MoveStep::granted: co_return co_await give_order(id);
    case MoveStep::ordered: co_return co_await watch(id);
    case MoveStep::ended: break;
  }
  co_return Result<>{};
}

// The destination asks for the CA of the source's cloud and for the member before it gives a ticket.
sys::Task<Result<>> Migrations::introduce(std::string id) {
  const auto deadline = runtime_.clock.now() + kIntroductionLimit;
  while (true) {
    const auto& record = records_.at(id);
    auto* cluster = clusters_.find_cluster(record.cluster);
    if (!cluster) co_return fail(Errc::cancelled, "its cluster is gone");
    if (cluster->introduced(record.from) && cluster->introduced(record.to)) co_return Result<>{};
    if (record.cancel) co_return fail(Errc::cancelled, "cancelled before it began");
    if (runtime_.clock.now() >= deadline) {
      const auto view = cluster->view();
      co_return fail(Errc::timed_out, "{} and {} could not be introduced to each other within {} s{}", record.from,
                     record.to, kIntroductionLimit.count(), view.problems.empty() ? "" : ": " + view.problems.front());
    }
    co_await runtime_.clock.sleep_for(kIntroductionPoll);
  }
}

sys::Task<Result<>> Migrations::get_ticket(std::string id) {
  const auto introduced = co_await introduce(id);
  if (!introduced) co_return introduced;
  const auto from = accounts_.client(records_.at(id).from);
  if (!from) co_return pass(from);
  const auto view = co_await from->instance(records_.at(id).instance);
  if (!view) co_return pass(view);
  const auto to = accounts_.client(records_.at(id).to);
  if (!to) co_return pass(to);
  wire::TicketRequest request;
  request.migration = id;
  request.spec = view->spec;
  request.source_cloud = records_.at(id).from;
  request.source_host_key = view->host_key;
  const auto& asking = records_.at(id);
  if (traveller_of(asking, true).shares) {
    request.destination_host = host_of_companions(travellers(asking.cluster), asking.from, view->host, asking.to);
  }
  auto grant = co_await ask_ticket(*to, std::move(request));
  if (!grant) co_return pass(grant);
  auto& record = records_.at(id);
  record.report.from_host = view->host;
  record.report.to_host = grant->destination.host;
  record.grant = std::move(*grant);
  record.step = MoveStep::granted;
  co_return save(record);
}

// The host is a wish: where it is full, gone or otherwise unfit, the destination's cloud chooses.
sys::Task<Result<wire::TicketGrant>> Migrations::ask_ticket(CloudClient to, wire::TicketRequest request) {
  if (!request.destination_host.empty()) {
    auto granted = co_await to.ticket(request);
    if (granted || is_transient(granted.error().code)) co_return granted;
    log_.debug("{}: {}", request.migration, granted.error().message);
    request.destination_host.clear();
  }
  co_return co_await to.ticket(request);
}

// Given again until it is answered: the source takes the same migration once. A clear no ends it.
sys::Task<Result<>> Migrations::give_order(std::string id) {
  auto& record = records_.at(id);
  const auto from = accounts_.client(record.from);
  if (!from) co_return pass(from);
  wire::MigrateRequest request;
  request.migration = id;
  request.grant = record.grant;
  request.destination_cloud = record.to;
  request.options = record.options;
  const auto ordered = co_await from->migrate(record.instance, request);
  if (!ordered) {
    if (is_transient(ordered.error().code)) co_return ordered;
    end(record, wire::MigrationPhase::aborted, ordered.error().message);
    co_return Result<>{};
  }
  record.step = MoveStep::ordered;
  if (auto* cluster = clusters_.find_cluster(record.cluster)) cluster->wake();
  co_return save(record);
}

sys::Task<Result<>> Migrations::watch(std::string id) {
  auto& record = records_.at(id);  // records of open migrations stay where they are
  const auto from = accounts_.client(record.from);
  const auto to = accounts_.client(record.to);
  std::optional<wire::MigrationReport> source;
  std::optional<wire::MigrationReport> destination;
  Result<> outcome;
  if (from) {
    auto said = co_await from->migration(id);
    if (said) source = std::move(*said);
    if (!said && is_transient(said.error().code)) outcome = pass(said);
  }
  if (to) {
    auto said = co_await to->migration(id);
    if (said) destination = std::move(*said);
    if (!said && is_transient(said.error().code)) outcome = pass(said);
  }
  auto report = combine(record.report, source, destination);
  const auto phase = report.phase;
  note(record, std::move(report));
  if (wire::is_final(phase)) end(record, phase, record.report.error);
  if (source || destination) co_return Result<>{};
  co_return outcome;
}

sys::Task<Result<>> Migrations::pass_cancel(std::string id) {
  auto& record = records_.at(id);
  const auto from = accounts_.client(record.from);
  if (!from) co_return pass(from);
  const auto told = co_await from->cancel(id);
  if (told || record.step == MoveStep::ordered) {
    // The source decides: too late is no error, and its report will say what came of it.
    if (!told && is_transient(told.error().code)) co_return told;
    record.cancel = false;
    record.step = MoveStep::ordered;
    co_return save(record);
  }
  if (told.error().code != Errc::not_found) co_return told;
  end(record, wire::MigrationPhase::aborted, "cancelled before it began");
  co_return Result<>{};
}

// ---- bookkeeping

void Migrations::note(MigrationRecord& record, wire::MigrationReport report) {
  if (wire::encode(report) == wire::encode(record.report)) return;
  const bool arrived = has_arrived(report.phase) && !has_arrived(record.report.phase);
  const bool phase_changed = report.phase != record.report.phase;
  record.report = std::move(report);
  if (phase_changed) {
    log_.info("{}: {} is {}", record.id, record.member, wire::to_json(record.report.phase).as_string().c_str());
    const auto saved = save(record);
    if (!saved) log_.error("{}", saved.error().message);
  }
  auto* cluster = clusters_.find_cluster(record.cluster);
  if (arrived && cluster) cluster->settle_at(record.instance, record.to);
  changed_();
}

void Migrations::end(MigrationRecord& record, wire::MigrationPhase phase, const std::string& error) {
  record.step = MoveStep::ended;
  record.report.phase = phase;
  if (phase == wire::MigrationPhase::aborted && record.report.error.empty()) record.report.error = error;
  const auto saved = save(record);
  if (!saved) log_.error("{}", saved.error().message);
  if (phase == wire::MigrationPhase::aborted)
    log_.warn("{}: {} stays at {}: {}", record.id, record.member, record.from, error);
  if (auto* cluster = clusters_.find_cluster(record.cluster)) {
    cluster->set_migration(record.instance, "");
    cluster->wake();
  }
  changed_();
}

Result<> Migrations::save(const MigrationRecord& record) {
  const auto saved = store_.save(record);
  if (!saved) return fail(saved, "migration " + record.id + ": its record can't be written");
  return {};
}

void Migrations::prune() {
  std::vector<std::pair<std::int64_t, std::string>> ended;
  for (const auto& [id, record] : records_) {
    if (!is_open(record) && !driven_.contains(id)) ended.emplace_back(record.created_ms, id);
  }
  std::sort(ended.begin(), ended.end());
  for (std::size_t i = 0; i + kEndedMigrationsKept < ended.size(); ++i) {
    const auto removed = store_.remove_migration(ended[i].second);
    if (removed) records_.erase(ended[i].second);
  }
}

}  // namespace godwit::sky
