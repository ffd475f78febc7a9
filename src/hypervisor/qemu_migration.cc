// QEMU's two parts in a migration. The order of commands and the events that answer them were recorded from QEMU 7.2:
// docs/formats/qemu-migration-control.md.
#include "hypervisor/qemu_machine.h"
#include "wire/json_fields.h"

namespace godwit::hypervisor {
namespace {

namespace json = wire::json;

constexpr const char* kDisk = "disk0";     // node, export
constexpr const char* kMirror = "mirror";  // job
constexpr const char* kMirrorTarget = "mirror-target";
constexpr Millis kPoll{500};             // for what an event may have told an earlier agent
constexpr Millis kSoon{5};               // for what no event tells
constexpr Seconds kSwitchoverLimit{30};  // of QEMU's own steps while the guest stands still
constexpr Seconds kCancelLimit{20};
constexpr Seconds kEndLimit{5};  // from the end of its monitor to that of a process
// A mirror that is so little behind follows. QEMU calls it ready only when for a moment nothing is under way, and a
// guest that writes more often than a round trip takes never gives it that moment.
constexpr std::uint64_t kFollowing_bytes = 1U << 20U;
constexpr std::uint64_t kUnlimited = 1ULL << 40U;  // QEMU's default of 128 MiB/s counts bytes before any encoding

json::object capability(const char* name, bool on) { return {{"capability", name}, {"state", on}}; }

using wire::number_at;
using wire::text_at;

bool is_about_mirror(const QmpEvent& event) {
  return event.name == "JOB_STATUS_CHANGE" && text_at(event.data, "id") == kMirror;
}

bool is_about_migration(const QmpEvent& event) { return event.name == "MIGRATION"; }

constexpr const char* kUserfaultfd = "/proc/sys/vm/unprivileged_userfaultfd";

// QEMU's words of a post-copy: some of the memory is still at the source.
constexpr const char* kPostCopy = "postcopy-active";
constexpr const char* kPostCopyCut = "postcopy-paused";

bool is_failure(const std::string& status) { return status == "failed" || status == "cancelled" || status == "none"; }

}  // namespace

// ---- as the source ----

sys::Task<Result<>> QemuMachine::start_disk(std::string nbd_socket, std::uint64_t max_bytes_per_s) {
  if (!local_base_) {
    co_return fail(Errc::conflict,
                   "mirror the disk: the image of {} is still on its way to this host; try again when it is here",
                   spec_.id);
  }
  const auto snapshot = co_await snapshot_job();
  if (!snapshot) co_return fail(snapshot, "mirror the disk");
  if (!snapshot->status.empty()) {
    co_return fail(Errc::conflict, "mirror the disk: a snapshot of {} is being taken; try again when it is done",
                   spec_.id);
  }
  json::object server{{"type", "unix"}, {"path", nbd_socket}};
  json::object target{
      {"driver", "nbd"}, {"node-name", kMirrorTarget}, {"export", kDisk}, {"server", std::move(server)}};
  const auto added = co_await execute("blockdev-add", std::move(target), Seconds{30});
  if (!added) co_return fail(added, "open the destination's disk");
  // Kept until we dismiss it: so how it ended can be asked by an agent that wasn't there.
  json::object mirror{
      {"job-id", kMirror}, {"device", kDisk}, {"target", kMirrorTarget}, {"sync", "top"}, {"auto-dismiss", false}};
  if (max_bytes_per_s > 0) mirror["speed"] = static_cast<std::int64_t>(max_bytes_per_s);
  const auto started = co_await execute("blockdev-mirror", std::move(mirror));
  if (!started) co_return fail(started, "mirror the disk");
  co_return Result<>{};
}

sys::Task<Result<QemuMachine::MirrorJob>> QemuMachine::mirror_job() {
  const auto answer = co_await execute("query-jobs");
  if (!answer) co_return pass(answer);
  const auto* list = answer->if_array();
  if (!list) co_return fail(Errc::protocol, "query-jobs: no array");
  for (const auto& each : *list) {
    const auto* job = each.if_object();
    if (!job || text_at(*job, "id") != kMirror) continue;
    MirrorJob found;
    found.status = text_at(*job, "status");
    found.error = text_at(*job, "error");
    found.done_bytes = number_at(*job, "current-progress").value_or(0);
    found.total_bytes = number_at(*job, "total-progress").value_or(0);
    co_return found;
  }
  co_return MirrorJob{};
}

// The event says when to look; the answer to the query is what counts, so it works for an adopted machine too.
sys::Task<Result<>> QemuMachine::wait_disk_ready() {
  std::uint64_t at_first_bytes = 0;  // what there was to copy when we first looked
  for (;;) {
    const auto qmp = qmp_;
    const auto mark = qmp->mark();
    const auto job = co_await mirror_job();
    if (!job) co_return fail(job, "mirror the disk");
    if (job->ready()) co_return Result<>{};
    if (job->ended()) co_return fail(Errc::io, "mirror the disk: {}", job->reason());
    if (at_first_bytes == 0) at_first_bytes = job->total_bytes;
    const bool once_around = at_first_bytes > 0 && job->done_bytes >= at_first_bytes;
    if (once_around && job->left_bytes() <= kFollowing_bytes) co_return Result<>{};
    (void)co_await qmp->wait_event(mark, is_about_mirror, kPoll);
  }
}

sys::Task<Result<>> QemuMachine::wait_mirror_level(TimePoint deadline) {
  for (;;) {
    const auto qmp = qmp_;
    const auto mark = qmp->mark();
    const auto job = co_await mirror_job();
    if (!job) co_return fail(job, "end the mirror");
    if (job->ready()) co_return Result<>{};
    if (job->ended()) co_return fail(Errc::io, "end the mirror: {}", job->reason());
    const auto runstate = co_await query_runstate();
    if (!runstate) co_return fail(runstate, "end the mirror");
    if (*runstate == "running") {
      co_return fail(Errc::conflict, "end the mirror: it has not caught up yet (it is {}), and the guest runs",
                     job->status);
    }
    if (runtime_.clock.now() > deadline) {
      co_return fail(Errc::timed_out, "end the mirror: the destination has not taken the last {} KiB within {:.0f} s",
                     job->left_bytes() / 1024, to_s(kSwitchoverLimit));
    }
    (void)co_await qmp->wait_event(mark, is_about_mirror, kPoll);
  }
}

sys::Task<Result<>> QemuMachine::end_disk() {
  const auto deadline = runtime_.clock.now() + kSwitchoverLimit;
  const auto level = co_await wait_mirror_level(deadline);
  if (!level) co_return level;
  json::object about{{"device", kMirror}};
  const auto asked = co_await execute("block-job-cancel", std::move(about));
  if (!asked) co_return fail(asked, "end the mirror");
  // A ready mirror that is told to end has seen all its writes acknowledged when it concludes without an error.
  for (;;) {
    const auto qmp = qmp_;
    const auto mark = qmp->mark();
    const auto job = co_await mirror_job();
    if (!job) co_return fail(job, "end the mirror");
    if (job->ended()) {
      if (job->status.empty() || !job->error.empty()) co_return fail(Errc::io, "end the mirror: {}", job->reason());
      // The job and its target stay until resume() or the end: closing them would cost two round trips of the pause.
      co_return Result<>{};
    }
    if (runtime_.clock.now() > deadline) {
      co_return fail(Errc::timed_out, "end the mirror: the destination has not taken the last writes within {:.0f} s",
                     to_s(kSwitchoverLimit));
    }
    (void)co_await qmp->wait_event(mark, is_about_mirror, kPoll);
  }
}

sys::Task<Result<>> QemuMachine::start_memory(std::string socket, MemoryOptions options) {
  json::array capabilities{capability("events", true), capability("return-path", true),
                           capability("pause-before-switchover", true), capability("auto-converge", true),
                           // Said also where it is not wanted: QEMU keeps what an earlier attempt has set.
                           capability("postcopy-ram", options.post_copy)};
  json::object wanted{{"capabilities", std::move(capabilities)}};
  const auto capable = co_await execute("migrate-set-capabilities", std::move(wanted));
  if (!capable) co_return fail(capable, "prepare the migration");
  // QEMU takes the capability only before it starts, but the strength of the throttle at any time: it begins harmless.
  const int throttle = options.auto_converge ? 20 : 1;
  const auto rate = options.max_bytes_per_s > 0 ? options.max_bytes_per_s : kUnlimited;
  json::object parameters{{"downtime-limit", options.downtime_limit_ms},
                          {"max-bandwidth", static_cast<std::int64_t>(rate)},
                          {"max-postcopy-bandwidth", static_cast<std::int64_t>(options.max_bytes_per_s)},
                          {"cpu-throttle-initial", throttle},
                          {"cpu-throttle-increment", options.auto_converge ? 10 : 1},
                          {"max-cpu-throttle", options.auto_converge ? 99 : 1}};
  const auto set = co_await execute("migrate-set-parameters", std::move(parameters));
  if (!set) co_return fail(set, "prepare the migration");
  json::object where{{"uri", "unix:" + socket}};
  const auto started = co_await execute("migrate", std::move(where));
  if (!started) co_return fail(started, "start the migration");
  co_return Result<>{};
}

sys::Task<Result<>> QemuMachine::allow_pause(std::uint32_t downtime_limit_ms) {
  json::object parameters{{"downtime-limit", downtime_limit_ms}};
  const auto set = co_await execute("migrate-set-parameters", std::move(parameters));
  if (!set) co_return pass(set);
  co_return Result<>{};
}

sys::Task<Result<>> QemuMachine::allow_auto_converge() {
  json::object parameters{{"max-cpu-throttle", 99}, {"cpu-throttle-initial", 20}, {"cpu-throttle-increment", 10}};
  const auto set = co_await execute("migrate-set-parameters", std::move(parameters));
  if (!set) co_return pass(set);
  co_return Result<>{};
}

sys::Task<Result<>> QemuMachine::start_post_copy() {
  const auto started = co_await execute("migrate-start-postcopy");
  if (!started) co_return pass(started);
  co_return Result<>{};
}

sys::Task<Result<std::string>> QemuMachine::migration_word() {
  const auto answer = co_await execute("query-migrate");
  if (!answer) co_return pass(answer);
  const auto* object = answer->if_object();
  if (!object) co_return fail(Errc::protocol, "query-migrate: no object");
  const auto status = text_at(*object, "status");
  co_return status.empty() ? "none" : status;
}

// The event says when to look; the answer to the query is what counts, so a lost event costs half a second.
sys::Task<Result<>> QemuMachine::wait_migration(std::string wanted) {
  for (;;) {
    const auto qmp = qmp_;
    const auto mark = qmp->mark();
    const auto answer = co_await execute("query-migrate");
    if (!answer) co_return pass(answer);
    const auto* object = answer->if_object();
    if (!object) co_return fail(Errc::protocol, "query-migrate: no object");
    const auto status = text_at(*object, "status");
    if (status == wanted) co_return Result<>{};
    if (is_failure(status) || status == "completed") {
      const auto reason = text_at(*object, "error-desc");
      co_return fail(Errc::io, "QEMU's migration: {}{}{}", status, reason.empty() ? "" : ": ", reason);
    }
    (void)co_await qmp->wait_event(mark, is_about_migration, kPoll);
  }
}

sys::Task<Result<>> QemuMachine::wait_paused() { co_return co_await wait_migration("pre-switchover"); }

// Some of the rest has been sent: only then has QEMU left behind all that can fail while it still may resume.
sys::Task<Result<>> QemuMachine::wait_handed_over() {
  for (;;) {
    const auto qmp = qmp_;
    const auto mark = qmp->mark();
    const auto answer = co_await execute("query-migrate");
    if (!answer) co_return pass(answer);
    const auto* object = answer->if_object();
    if (!object) co_return fail(Errc::protocol, "query-migrate: no object");
    const auto status = text_at(*object, "status");
    const auto after = number_at(wire::object_at(*object, "ram"), "postcopy-bytes").value_or(0);
    if (status == "completed" || (status == kPostCopy && after > 0)) co_return Result<>{};
    if (is_failure(status) || status == kPostCopyCut) {
      co_return fail(Errc::io, "QEMU's migration: {} {}", status, text_at(*object, "error-desc"));
    }
    const Nanos limit = status == kPostCopy ? kSoon : kPoll;
    (void)co_await qmp->wait_event(mark, is_about_migration, limit);
  }
}

sys::Task<Result<>> QemuMachine::continue_switchover() {
  const auto status = co_await migration_word();
  if (!status) co_return fail(status, "continue the switchover");
  // An agent before us may have done it already.
  if (*status != "device" && *status != "completed" && *status != kPostCopy) {
    json::object from{{"state", "pre-switchover"}};
    const auto continued = co_await execute("migrate-continue", std::move(from));
    if (!continued) co_return fail(continued, "continue the switchover");
  }
  auto handed_over = wait_handed_over();
  co_return co_await sys::within(runtime_.clock, kSwitchoverLimit, "send the device state", std::move(handed_over));
}

sys::Task<Result<MigrationStatus>> QemuMachine::migration_status() {
  MigrationStatus status;
  const auto answer = co_await execute("query-migrate");
  if (!answer) co_return pass(answer);
  if (const auto* object = answer->if_object()) {
    status.status = text_at(*object, "status");
    if (const auto* ram = object->if_contains("ram"); ram && ram->is_object()) {
      const auto& fields = ram->get_object();
      status.total_bytes = number_at(fields, "total").value_or(0);
      status.remaining_bytes = number_at(fields, "remaining").value_or(0);
      status.transferred_bytes = number_at(fields, "transferred").value_or(0);
      status.dirty_bytes_per_s =
          number_at(fields, "dirty-pages-rate").value_or(0) * number_at(fields, "page-size").value_or(0);
      status.rounds = static_cast<std::uint32_t>(number_at(fields, "dirty-sync-count").value_or(0));
    }
  }
  const auto jobs = co_await execute("query-block-jobs");
  if (!jobs) co_return pass(jobs);
  if (const auto* list = jobs->if_array()) {
    for (const auto& job : *list) {
      if (!job.is_object() || text_at(job.get_object(), "device") != kMirror) continue;
      status.disk_total_bytes = number_at(job.get_object(), "len").value_or(0);
      status.disk_done_bytes = number_at(job.get_object(), "offset").value_or(0);
    }
  }
  co_return status;
}

sys::Task<Result<>> QemuMachine::cancel_migration() {
  const auto deadline = runtime_.clock.now() + kCancelLimit;
  for (;;) {
    const auto qmp = qmp_;
    const auto mark = qmp->mark();
    const auto status = co_await migration_word();
    if (!status) co_return pass(status);
    if (is_failure(*status) || *status == "completed") co_return Result<>{};
    if (runtime_.clock.now() > deadline)
      co_return fail(Errc::timed_out, "cancel QEMU's migration: it stays {}", *status);
    if (*status == kPostCopyCut) co_return co_await end_post_copy();
    const auto asked = co_await execute("migrate_cancel");
    if (!asked && *status == kPostCopy) co_return co_await end_post_copy();
    if (!asked) co_return fail(asked, "cancel QEMU's migration");
    (void)co_await qmp->wait_event(mark, is_about_migration, kPoll);
  }
}

// Cut, it takes a cancel and waits for ever with it; newer ones (10.0) take none at all. What it has in memory can't be
// made to run any more.
sys::Task<Result<>> QemuMachine::end_post_copy() {
  co_await kill();
  co_return fail(Errc::unavailable, "its post-copy can't be cancelled: the memory of {} is lost", spec_.id);
}

sys::Task<Result<>> QemuMachine::cancel_mirror() {
  const auto deadline = runtime_.clock.now() + kCancelLimit;
  for (bool asked = false;;) {
    const auto qmp = qmp_;
    const auto mark = qmp->mark();
    const auto job = co_await mirror_job();
    if (!job) co_return pass(job);
    if (job->status.empty()) break;
    if (runtime_.clock.now() > deadline) {
      co_return fail(Errc::timed_out, "cancel the mirror: it does not end (is its connection closed?)");
    }
    if (job->ended()) {
      json::object about{{"id", kMirror}};
      const auto dismissed = co_await execute("job-dismiss", std::move(about));
      if (!dismissed) co_return fail(dismissed, "cancel the mirror");
      break;
    }
    if (!std::exchange(asked, true)) {
      // Not in order: its target may be gone, and what it has written is of no use any more.
      json::object about{{"device", kMirror}, {"force", true}};
      const auto cancelled = co_await execute("block-job-cancel", std::move(about));
      if (!cancelled) log_.debug("{}", cancelled.error().message);  // it may have ended just now
    }
    (void)co_await qmp->wait_event(mark, is_about_mirror, kPoll);
  }
  json::object target{{"node-name", kMirrorTarget}};
  const auto removed = co_await execute("blockdev-del", std::move(target));
  if (!removed && removed.error().code != Errc::conflict) co_return fail(removed, "cancel the mirror");
  co_return Result<>{};  // a conflict: there is none, as no mirror was started
}

sys::Task<Result<>> QemuMachine::resume() {
  const auto migration = co_await cancel_migration();
  if (!migration) co_return fail(migration, "resume " + spec_.id);
  const auto mirror = co_await cancel_mirror();
  if (!mirror) co_return fail(mirror, "resume " + spec_.id);
  co_return co_await start();
}

// ---- as the destination ----

sys::Task<Result<>> QemuMachine::open_incoming(bool post_copy) {
  json::array capabilities{capability("events", true), capability("return-path", true)};
  json::object wanted{{"capabilities", std::move(capabilities)}};
  const auto capable = co_await execute("migrate-set-capabilities", std::move(wanted));
  if (!capable) co_return fail(capable, "prepare for the migration");
  if (post_copy) {
    const auto able = co_await check_post_copy();
    if (!able) post_copy_problem_ = able.error().message;
  }
  if (!spec_.disk_path.empty()) {
    json::object path{{"path", nbd_socket_of(spec_.directory)}};
    json::object address{{"type", "unix"}, {"data", std::move(path)}};
    json::object server{{"addr", std::move(address)}, {"max-connections", 1}};
    const auto serving = co_await execute("nbd-server-start", std::move(server));
    if (!serving) co_return fail(serving, "serve the disk");
    json::object exported{{"type", "nbd"}, {"id", kDisk}, {"node-name", kDisk}, {"name", kDisk}, {"writable", true}};
    const auto open = co_await execute("block-export-add", std::move(exported));
    if (!open) co_return fail(open, "export the disk");
  }
  json::object where{{"uri", "unix:" + memory_socket_of(spec_.directory)}};
  const auto listening = co_await execute("migrate-incoming", std::move(where));
  if (!listening) co_return fail(listening, "listen for the memory");
  co_return Result<>{};
}

sys::Task<Result<>> QemuMachine::wait_loaded() {
  for (;;) {
    const auto qmp = qmp_;
    const auto mark = qmp->mark();
    const auto status = co_await migration_word();
    if (!status && status.error().code == Errc::unavailable) co_return co_await tell_end();
    if (!status) co_return pass(status);
    if (*status == "completed") co_return Result<>{};
    if (*status == "failed") co_return co_await tell_end();
    // By post-copy the devices come in one piece, and QEMU stands still when it has loaded them.
    if (*status == kPostCopy || *status == kPostCopyCut) {
      const auto runstate = co_await query_runstate();
      if (runstate && *runstate != "inmigrate") co_return Result<>{};
    }
    const Nanos limit = *status == kPostCopy ? kSoon : kPoll;
    (void)co_await qmp->wait_event(mark, is_about_migration, limit);
  }
}

// While it lacks pages its monitor may wait for one with everything else: slow to answer is not hung here.
sys::Task<Result<>> QemuMachine::wait_whole() {
  for (;;) {
    const auto qmp = qmp_;
    const auto mark = qmp->mark();
    const auto status = co_await migration_word();
    if (!status && status.error().code == Errc::unavailable) co_return co_await tell_end();
    if (!status && status.error().code != Errc::timed_out) co_return pass(status);
    if (status && *status == "completed") co_return Result<>{};
    if (status && *status != kPostCopy) co_return fail(Errc::io, "load the rest of the memory: {}", *status);
    (void)co_await qmp->wait_event(mark, is_about_migration, kPoll);
  }
}

// A QEMU that can't load what it is sent ends itself; its process is seen to end a moment after its monitor.
sys::Task<Result<>> QemuMachine::tell_end() {
  const auto deadline = runtime_.clock.now() + kEndLimit;
  while (state_ != MachineState::dead && runtime_.clock.now() < deadline) {
    co_await ended_.wait_until(runtime_.clock, deadline);
  }
  co_return fail(Errc::io, "load the memory: {}", problem_.empty() ? "the migration failed" : problem_);
}

sys::Task<Result<>> QemuMachine::check_post_copy() {
  json::array capabilities{capability("postcopy-ram", true)};
  json::object wanted{{"capabilities", std::move(capabilities)}};
  const auto capable = co_await execute("migrate-set-capabilities", std::move(wanted));
  if (capable) co_return Result<>{};
  const auto allowed = runtime_.files.read(kUserfaultfd, 16);
  const bool forbidden = allowed && allowed->starts_with("0");
  co_return fail(
      Errc::unsupported, "{}{}", capable.error().message,
      forbidden ? " (vm.unprivileged_userfaultfd is 0: docs/ops/post-copy.md says what setting it to 1 risks)" : "");
}

sys::Task<Result<>> QemuMachine::finish_disk() {
  if (spec_.disk_path.empty()) co_return Result<>{};
  const auto stopped = co_await execute("nbd-server-stop", json::object(), kSwitchoverLimit);
  if (!stopped) log_.debug("{}", stopped.error().message);  // an earlier agent may have stopped it
  // To reopen a node as it is open drains and flushes it, and, other than "stop", says when that fails.
  json::array same;
  same.emplace_back(disk_node(spec_, local_base_));
  json::object about{{"options", std::move(same)}};
  const auto flushed = co_await execute("blockdev-reopen", std::move(about), kSwitchoverLimit);
  if (!flushed) co_return fail(flushed, "flush the disk");
  co_return runtime_.files.sync_file(spec_.disk_path);
}

// Told to run while it waits for memory, QEMU would run by itself once it has it, whoever owns the instance by then.
// And just after a failed migration it says "Migration is not finalized yet", and runs a moment later.
sys::Task<Result<>> QemuMachine::start() {
  const auto deadline = runtime_.clock.now() + kCancelLimit;
  for (;;) {
    const auto qmp = qmp_;
    const auto mark = qmp->mark();
    const auto runstate = co_await query_runstate();
    if (!runstate) co_return fail(runstate, "start the vCPUs");
    if (*runstate == "running") co_return Result<>{};
    if (*runstate == "inmigrate") co_return fail(Errc::conflict, "start the vCPUs: the memory is not loaded yet");
    if (*runstate != "finish-migrate") break;
    if (runtime_.clock.now() > deadline) co_return fail(Errc::timed_out, "start the vCPUs: QEMU stays {}", *runstate);
    auto resumed = [](const QmpEvent& event) { return event.name == "RESUME"; };
    (void)co_await qmp->wait_event(mark, std::move(resumed), kPoll);
  }
  const auto started = co_await execute("cont");
  if (!started) co_return fail(started, "start the vCPUs");
  co_return co_await refresh();
}

}  // namespace godwit::hypervisor
