#include "sim/migration_rig.h"

#include "base/assert.h"
#include "migrate/handover.h"
#include "migrate/record.h"
#include "sim/host.h"

namespace godwit::simtest {
namespace {

constexpr Millis kLook{5};  // how often a fake looks again
constexpr Seconds kCloudTimeout{5};
constexpr Seconds kRoundLimit{1};  // between two looks of an agent
constexpr std::uint16_t kPort = 7402;
const std::string kDirectory = "/instances/" + kInstance;
const std::string kRecord = "/records/" + kInstance;  // "1": claimed, "0": it only arrives
const std::string kTicket = "a good ticket";
const std::string kLocationRecord = "the record of its location";

std::string qemu_name() { return "qemu-" + kInstance; }

FakeQemu* qemu_on(sim::Host& host) {
  auto* process = host.find(qemu_name());
  return process ? &dynamic_cast<FakeQemu&>(process->program()) : nullptr;
}

Result<FakeQemu*> living(sim::Host& host) {
  auto* qemu = qemu_on(host);
  if (!qemu) return fail(Errc::unavailable, "QEMU is dead");
  return qemu;
}

sys::Task<void> until_dead(sim::Host& host, sys::Clock& clock) {
  while (qemu_on(host)) co_await clock.sleep_for(kLook);
}

// Until `of` says what is wanted, or failed, or QEMU is gone.
sys::Task<Result<>> until(sim::Host& host, sys::Clock& clock, Status FakeQemu::* of, Status wanted) {
  for (;;) {
    const auto qemu = living(host);
    if (!qemu) co_return pass(qemu);
    const auto status = (*qemu)->*of;
    if (status == wanted) co_return Result<>{};
    if (status == Status::failed || status == Status::none) co_return fail(Errc::io, "QEMU's job failed");
    co_await clock.sleep_for(kLook);
  }
}

migrate::GuestSockets sockets_of_guest() { return {kDirectory + "/disk.sock", kDirectory + "/memory.sock", 0}; }

class FakeSource final : public migrate::SourceGuest {
 public:
  FakeSource(sim::Host& host, sys::Clock& clock) : host_(host), clock_(clock) {}
  migrate::GuestSockets sockets() const override { return sockets_of_guest(); }
  sys::Task<Result<>> start_disk(std::uint64_t) override {
    const auto qemu = living(host_);
    if (!qemu) co_return pass(qemu);
    (*qemu)->start_disk(sockets().disk);
    co_return Result<>{};
  }
  sys::Task<Result<>> wait_disk_ready() override { return until(host_, clock_, &FakeQemu::disk, Status::paused); }
  sys::Task<Result<>> start_memory(wire::MigrationOptions) override {
    const auto qemu = living(host_);
    if (!qemu) co_return pass(qemu);
    (*qemu)->start_memory(sockets().memory);
    co_return Result<>{};
  }
  sys::Task<Result<>> wait_paused() override { return until(host_, clock_, &FakeQemu::memory, Status::paused); }
  sys::Task<Result<>> end_disk() override {
    const auto qemu = living(host_);
    if (!qemu) co_return pass(qemu);
    (*qemu)->end_disk();
    co_return co_await until(host_, clock_, &FakeQemu::disk, Status::completed);
  }
  sys::Task<Result<>> continue_switchover() override {
    const auto qemu = living(host_);
    if (!qemu) co_return pass(qemu);
    (*qemu)->continue_switchover();
    for (;;) {
      const auto now = living(host_);
      if (!now) co_return pass(now);
      const auto memory = (*now)->memory;
      if (memory == Status::completed || memory == Status::in_part) co_return Result<>{};
      if (memory != Status::paused) co_return fail(Errc::io, "QEMU's job failed");
      co_await clock_.sleep_for(kLook);
    }
  }
  sys::Task<Result<wire::MigrationProgress>> progress() override {
    const auto qemu = living(host_);
    if (!qemu) co_return pass(qemu);
    wire::MigrationProgress progress;
    progress.memory_sent_bytes = (*qemu)->sent_bytes;
    progress.memory_remaining_bytes = 1024UL * 1024;
    progress.rounds = (*qemu)->rounds;
    co_return progress;
  }
  sys::Task<Result<>> allow_pause(std::uint32_t) override { co_return Result<>{}; }
  sys::Task<Result<>> allow_auto_converge() override { co_return Result<>{}; }
  sys::Task<Result<>> start_post_copy() override {
    const auto qemu = living(host_);
    if (!qemu) co_return pass(qemu);
    (*qemu)->start_post_copy();
    co_return Result<>{};
  }
  sys::Task<Result<>> resume() override {
    const auto qemu = living(host_);
    if (!qemu) co_return pass(qemu);
    (*qemu)->resume();
    const auto after = living(host_);
    if (!after) co_return pass(after);
    co_return Result<>{};
  }
  sys::Task<void> wait_dead() override { return until_dead(host_, clock_); }

 private:
  sim::Host& host_;
  sys::Clock& clock_;
};

class FakeDestination final : public migrate::DestinationGuest {
 public:
  FakeDestination(sim::Host& host, sys::Clock& clock, std::string problem = "")
      : host_(host), clock_(clock), problem_(std::move(problem)) {}
  migrate::GuestSockets sockets() const override { return sockets_of_guest(); }
  std::string post_copy_problem() const override { return problem_; }
  sys::Task<Result<>> wait_loaded() override {
    for (;;) {
      const auto qemu = living(host_);
      if (!qemu) co_return pass(qemu);
      if ((*qemu)->memory >= Status::in_part) co_return Result<>{};
      co_await clock_.sleep_for(kLook);
    }
  }
  // One that is cut says nothing: its main loop waits for a page.
  sys::Task<Result<>> wait_whole() override {
    for (;;) {
      const auto qemu = living(host_);
      if (!qemu) co_return pass(qemu);
      if ((*qemu)->memory == Status::completed) co_return Result<>{};
      co_await clock_.sleep_for(kLook);
    }
  }
  sys::Task<Result<>> finish_disk() override {
    const auto qemu = living(host_);
    if (!qemu) co_return pass(qemu);
    (*qemu)->stop_serving();
    co_await clock_.sleep_for(kLook);
    co_return host_.files().sync_file(FakeQemu::disk_path(kDirectory));
  }
  sys::Task<Result<>> start() override {
    const auto qemu = living(host_);
    if (!qemu) co_return pass(qemu);
    (*qemu)->start();
    co_return Result<>{};
  }
  sys::Task<void> wait_dead() override { return until_dead(host_, clock_); }

 private:
  sim::Host& host_;
  sys::Clock& clock_;
  std::string problem_;
};

}  // namespace

wire::InstanceSpec instance_spec() {
  wire::InstanceSpec spec;
  spec.id = kInstance;
  spec.tenant = "alice";
  spec.name = "n1";
  spec.type = "t3.nano";
  spec.image = "debian-12";
  spec.image_sha256 = std::string(64, 'a');
  spec.interface = {"net-00000000000000001", "02:00:00:00:00:01", "10.77.0.11"};
  spec.machine_type = "pc-q35-7.2";
  spec.cpu_model = "qemu64";
  spec.accelerator = "tcg";
  return spec;
}

std::string directory_of_instance() { return kDirectory; }

// ---- the agent

TestAgent::TestAgent(sim::Process& process, Rig& rig, std::string cloud)
    : process_(process),
      runtime_(process.runtime()),
      rig_(rig),
      cloud_(std::move(cloud)),
      wake_(runtime_.executor),
      gate_(runtime_.executor) {
  const migrate::Self self{cloud_, process.host().name(), "https://10.0.0.1:7443"};
  runtime_.peers.trust({sim::authority("cloud-a", "cloud-a"), sim::authority("cloud-b", "cloud-b")});
  service_ = std::make_unique<migrate::Service>(
      runtime_, self, "/migrations", static_cast<migrate::Guests&>(*this), static_cast<migrate::Locations&>(*this),
      static_cast<migrate::Clouds&>(*this), std::vector<migrate::Encoding*>{}, [this] { wake_.notify(); });
  const auto restored = service_->restore();
  if (!restored) rig_.oracle.blame(restored.error().message);
  auto listener = runtime_.peers.listen(process.host().ip(), kPort);
  GODWIT_ASSERT(listener.has_value());
  service_->start(std::move(*listener));
  gate_.spawn(keep_up());
}

TestAgent::~TestAgent() = default;

sys::Task<void> TestAgent::keep_up() {
  for (;;) {
    look();
    co_await wake_.wait_until(runtime_.clock, runtime_.clock.now() + kRoundLimit);
  }
}

void TestAgent::look() {
  const auto& host = process_.host().name();
  const bool is_source = cloud_ == "cloud-a";
  if (is_source && !rig_.order.id.empty() && !(rig_.told.contains(host) && is_final(rig_.told[host].phase))) {
    rig_.order.decision = rig_.vote;
    rig_.order.fence = rig_.fence_a;
    const bool here = rig_.has_instance(host);
    service_->order({rig_.order, here ? instance_spec() : wire::InstanceSpec{}, 1});
  }
  if (!is_source && rig_.fence_b != wire::Decision::none) {
    wire::MigrationOrder fence;
    fence.id = kMigration;
    fence.fence = rig_.fence_b;
    service_->order({fence, {}, 0});
  }
  for (const auto& arrival : service_->arrivals()) {
    if (arrival.location.version != 2) rig_.oracle.blame("the arrival's location version is wrong");
    rig_.set_instance(host, true);
  }
  for (const auto& report : service_->reports()) {
    rig_.told[host] = report;
    // Our cloud votes aborted when its agent says so.
    if (is_source && report.phase == wire::MigrationPhase::aborted) {
      rig_.vote = migrate::vote_of_cloud(rig_.vote, wire::Decision::aborted);
    }
    if (is_final(report.phase)) service_->forget(report.id);
  }
  check_hand_offs();
  cold_boot();
}

// They are with who owns, and with a source that has not given up.
void TestAgent::check_hand_offs() {
  const auto records = migrate::Records(process_.host().files(), "/migrations").load();
  if (!records) return;
  for (const auto& each : *records) {
    const bool source = each.role == wire::MigrationRole::source;
    const bool may_have =
        source ? each.ballot.decision != wire::Decision::aborted : each.ballot.vote == migrate::Vote::released;
    if (!each.hand_offs.empty() && !may_have) rig_.oracle.blame("a hand-off is where nobody may use it");
  }
}

void TestAgent::cold_boot() {
  auto& host = process_.host();
  const auto record = host.files().read(kRecord, 16);
  if (!record || *record != "1" || service_->standing(kInstance) != migrate::Standing::may_run) return;
  if (qemu_on(host)) {
    // It was paused by a migration that an earlier agent was part of: not ours to see here.
    return;
  }
  host.start(qemu_name(), process_.identity(), [&](sim::Process& process) {
    return std::make_unique<FakeQemu>(process, rig_.oracle, kDirectory, false);
  });
}

sys::Task<Result<std::unique_ptr<migrate::SourceGuest>>> TestAgent::open_source(std::string) {
  const auto qemu = living(process_.host());
  if (!qemu) co_return pass(qemu);
  co_return std::make_unique<FakeSource>(process_.host(), runtime_.clock);
}

sys::Task<Result<std::unique_ptr<migrate::DestinationGuest>>> TestAgent::receive(wire::InstanceSpec, bool post_copy) {
  auto& host = process_.host();
  if (rig_.has_instance(host.name())) co_return fail(Errc::conflict, "instance {}: is here", kInstance);
  rig_.set_instance(host.name(), false);
  if (!host.files().make_directories(kDirectory, 0700, 0)) co_return fail(Errc::io, "no directory");
  co_await runtime_.clock.sleep_for(Millis{150});  // a QEMU takes its time
  host.start(qemu_name(), process_.identity(),
             [&](sim::Process& process) { return std::make_unique<FakeQemu>(process, rig_.oracle, kDirectory, true); });
  co_return std::make_unique<FakeDestination>(host, runtime_.clock, post_copy ? rig_.post_copy_problem : "");
}

sys::Task<Result<std::unique_ptr<migrate::DestinationGuest>>> TestAgent::open_received(std::string) {
  const auto qemu = living(process_.host());
  if (!qemu) co_return pass(qemu);
  co_return std::make_unique<FakeDestination>(process_.host(), runtime_.clock);
}

sys::Task<Result<>> TestAgent::end_received(std::string) {
  if (auto* qemu = process_.host().find(qemu_name())) qemu->kill();
  co_await runtime_.clock.sleep_for(kLook);
  co_return Result<>{};
}

sys::Task<Result<>> TestAgent::destroy(std::string) {
  auto& host = process_.host();
  if (auto* qemu = host.find(qemu_name())) qemu->kill();
  co_await runtime_.clock.sleep_for(kLook);
  (void)host.files().remove_tree(kDirectory);
  rig_.drop_instance(host.name());
  co_return Result<>{};
}

sys::Task<void> TestAgent::announce(wire::InstanceSpec, migrate::LocationProof proof) {
  if (proof.record != kLocationRecord) rig_.oracle.blame("the location is announced without its record");
  const bool fenced = rig_.fence_b != wire::Decision::none;
  if (proof.hand_offs != rig_.order.hand_offs && !fenced) rig_.oracle.blame("it is announced without its hand-off");
  return runtime_.clock.sleep_for(Millis{50});
}
sys::Task<void> TestAgent::hold(wire::InstanceSpec, bool) { return runtime_.clock.sleep_for(Millis{1}); }

// A cloud is a site's control plane: within reach as long as the WAN is, or at once for its own agents.
sys::Task<Result<>> TestAgent::call_cloud(std::string cloud) {
  auto& clock = runtime_.clock;
  auto& there = cloud == "cloud-a" ? rig_.world.host("cloud-a-api") : rig_.world.host("cloud-b-api");
  const auto& network = rig_.world.network();
  if (network.is_cut(process_.host(), there)) {
    co_await clock.sleep_for(kCloudTimeout);
    co_return fail(Errc::timed_out, "cloud {}: no answer", cloud);
  }
  co_await clock.sleep_for(2 * network.delay(process_.host(), there));
  co_return Result<>{};
}

sys::Task<Result<wire::RedeemAnswer>> TestAgent::redeem(wire::RedeemRequest request) {
  const auto reached = co_await call_cloud("cloud-b");
  if (!reached) co_return pass(reached);
  if (request.ticket != kTicket) co_return fail(Errc::denied, "ticket: not of this cloud");
  if (!rig_.redeemed.empty()) co_return fail(Errc::denied, "ticket: used before");
  rig_.redeemed = request.ticket;
  wire::RedeemAnswer answer;
  answer.claims.migration = kMigration;
  answer.claims.instance = kInstance;
  answer.claims.source_cloud = request.source_cloud;
  answer.claims.source_host_key = request.source_host_key;
  answer.location_record = kLocationRecord;
  answer.claims.destination = {"cloud-b", "b1", "10.2.0.11", kPort, "b1.cloud-b.godwit"};
  co_return answer;
}

sys::Task<Result<wire::Decision>> TestAgent::release(std::string) {
  const auto reached = co_await call_cloud("cloud-a");
  if (!reached) co_return pass(reached);
  rig_.vote = migrate::vote_of_cloud(rig_.vote, wire::Decision::released);
  const auto said = rig_.vote;
  co_await runtime_.clock.sleep_for(Millis{2});  // the answer's way; it may be lost with us
  co_return said;
}

sys::Task<Result<wire::DecisionAnswer>> TestAgent::resolve(std::string cloud, std::string, std::string) {
  const auto reached = co_await call_cloud(cloud);
  if (!reached) co_return pass(reached);
  rig_.vote = migrate::vote_of_cloud(rig_.vote, wire::Decision::aborted);
  const auto said = rig_.fence_a == wire::Decision::none ? rig_.vote : rig_.fence_a;
  const auto back = co_await call_cloud(cloud);
  if (!back) co_return pass(back);
  wire::DecisionAnswer answer{said};
  if (said == wire::Decision::released) answer.hand_offs = rig_.order.hand_offs;
  co_return answer;
}

// ---- the rig

Rig::Rig(std::uint64_t seed)
    : world(seed), a1(world.add_host("a1", "site-a", "10.1.0.11")), b1(world.add_host("b1", "site-b", "10.2.0.11")) {
  world.add_host("cloud-a-api", "site-a", "10.1.0.1");
  world.add_host("cloud-b-api", "site-b", "10.2.0.1");
  for (auto* host : {&a1, &b1}) {
    (void)host->files().make_directories("/records", 0700, 0);
    (void)host->files().make_directories("/instances", 0700, 0);
  }
  (void)a1.files().make_directories(kDirectory, 0700, 0);
  set_instance("a1", true);
  start_agent("a1");
  start_agent("b1");
}

Rig::~Rig() = default;

void Rig::start_agent(const std::string& host) {
  auto& machine = world.host(host);
  if (machine.find("agent")) return;
  const std::string cloud = host == "a1" ? "cloud-a" : "cloud-b";
  machine.start("agent", {host + "." + cloud + ".godwit", cloud},
                [&](sim::Process& process) { return std::make_unique<TestAgent>(process, *this, cloud); });
}

void Rig::order_migration(wire::MigrationOptions options) {
  order.id = kMigration;
  order.instance = kInstance;
  order.options = options;
  order.hand_offs = {"the hand-off"};
  order.grant = {kTicket, {"cloud-b", "b1", "10.2.0.11", kPort, "b1.cloud-b.godwit"}, 0};
}

TestAgent* Rig::agent(const std::string& host) {
  auto* process = world.host(host).find("agent");
  return process ? &dynamic_cast<TestAgent&>(process->program()) : nullptr;
}

sim::Process* Rig::qemu(const std::string& host) { return world.host(host).find(qemu_name()); }

std::optional<wire::MigrationReport> Rig::report(const std::string& host) {
  auto* at = agent(host);
  if (!at) return std::nullopt;
  for (const auto& each : at->migrations().reports()) {
    if (each.id == kMigration) return each;
  }
  return std::nullopt;
}

wire::MigrationPhase Rig::phase(const std::string& host) {
  if (const auto now = report(host)) return now->phase;
  return told.contains(host) ? told[host].phase : wire::MigrationPhase::ordered;
}

bool Rig::has_instance(const std::string& host) { return world.host(host).files().exists(kRecord); }

void Rig::set_instance(const std::string& host, bool claimed) {
  (void)world.host(host).files().write_atomic(kRecord, claimed ? "1" : "0", 0600);
}

void Rig::drop_instance(const std::string& host) { (void)world.host(host).files().remove(kRecord); }

bool Rig::settled() {
  if (!agent("a1") || !agent("b1") || oracle.running != 1) return false;
  if (has_instance("a1") == has_instance("b1")) return false;
  const std::string loser = has_instance("a1") ? "b1" : "a1";
  if (qemu(loser) || world.host(loser).files().exists(kDirectory)) return false;
  if (order.id.empty()) return true;
  return told.contains("a1") && is_final(told["a1"].phase) && (!told.contains("b1") || is_final(told["b1"].phase)) &&
         a1.files().list("/migrations")->empty() && b1.files().list("/migrations")->empty();
}

std::string Rig::describe() {
  std::string text = fmt::format("running {}, vote {}; ", oracle.running, boost::describe::enum_to_string(vote, "?"));
  for (const std::string host : {"a1", "b1"}) {
    text +=
        fmt::format("{}: agent {}, qemu {}, record {}, directory {}, records of migrations {}, phase {} {}; ", host,
                    agent(host) ? "up" : "down", qemu(host) ? "up" : "down", has_instance(host),
                    world.host(host).files().exists(kDirectory), world.host(host).files().list("/migrations")->size(),
                    boost::describe::enum_to_string(phase(host), "?"), report(host) ? report(host)->error : "");
  }
  return text;
}

}  // namespace godwit::simtest
