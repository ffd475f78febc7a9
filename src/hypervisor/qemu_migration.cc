// QEMU's two parts in a migration. The order of commands and the events that answer them were recorded from QEMU 7.2:
// docs/formats/qemu-migration-control.md.
#include "hypervisor/qemu_machine.h"

namespace godwit::hypervisor {
namespace {

namespace json = wire::json;

constexpr const char* kDisk = "disk0";     // node, export
constexpr const char* kMirror = "mirror";  // job
constexpr const char* kMirrorTarget = "mirror-target";
constexpr Seconds kNoLimit{24 * 3600};   // callers have limits of their own
constexpr Millis kPoll{500};             // for what an event may have told an earlier agent
constexpr Seconds kSwitchoverLimit{30};  // of QEMU's own steps while the guest stands still
constexpr Seconds kCancelLimit{20};
constexpr std::uint64_t kUnlimited = 1ULL << 40U;  // QEMU's default of 128 MiB/s counts bytes before any encoding

json::object capability(const char* name, bool on) { return {{"capability", name}, {"state", on}}; }

std::string text_at(const json::object& object, const char* key) {
  const auto* field = object.if_contains(key);
  return field && field->is_string() ? std::string(field->get_string()) : std::string();
}

std::uint64_t number_at(const json::object& object, const char* key) {
  const auto* field = object.if_contains(key);
  if (!field) return 0;
  if (field->is_int64()) return static_cast<std::uint64_t>(std::max<std::int64_t>(0, field->get_int64()));
  return field->is_uint64() ? field->get_uint64() : 0;
}

bool is_about_mirror(const QmpEvent& event) { return text_at(event.data, "device") == kMirror; }

bool is_failure(const std::string& status) { return status == "failed" || status == "cancelled" || status == "none"; }

}  // namespace

// ---- as the source ----

sys::Task<Result<>> QemuMachine::start_disk(std::string nbd_socket, std::uint64_t max_bytes_per_s) {
  json::object server{{"type", "unix"}, {"path", nbd_socket}};
  json::object target{
      {"driver", "nbd"}, {"node-name", kMirrorTarget}, {"export", kDisk}, {"server", std::move(server)}};
  const auto added = co_await execute("blockdev-add", std::move(target), Seconds{30});
  if (!added) co_return fail(added, "open the destination's disk");
  mirror_mark_ = qmp_->mark();
  json::object mirror{{"job-id", kMirror}, {"device", kDisk}, {"target", kMirrorTarget}, {"sync", "top"}};
  if (max_bytes_per_s > 0) mirror["speed"] = static_cast<std::int64_t>(max_bytes_per_s);
  const auto started = co_await execute("blockdev-mirror", std::move(mirror));
  if (!started) co_return fail(started, "mirror the disk");
  co_return Result<>{};
}

sys::Task<Result<>> QemuMachine::wait_disk_ready() {
  const auto qmp = qmp_;
  auto wanted = [](const QmpEvent& event) {
    return is_about_mirror(event) && (event.name == "BLOCK_JOB_READY" || event.name == "BLOCK_JOB_COMPLETED" ||
                                      event.name == "BLOCK_JOB_CANCELLED");
  };
  const auto event = co_await qmp->wait_event(mirror_mark_, std::move(wanted), kNoLimit);
  if (!event) co_return fail(event, "mirror the disk");
  if (event->name == "BLOCK_JOB_READY") co_return Result<>{};
  co_return fail(Errc::io, "mirror the disk: {}", text_at(event->data, "error"));
}

sys::Task<Result<>> QemuMachine::end_disk() {
  const auto qmp = qmp_;
  const auto mark = qmp->mark();
  json::object job{{"device", kMirror}};
  const auto asked = co_await execute("block-job-cancel", std::move(job));
  if (!asked) co_return fail(asked, "end the mirror");
  auto wanted = [](const QmpEvent& event) {
    return is_about_mirror(event) && (event.name == "BLOCK_JOB_COMPLETED" || event.name == "BLOCK_JOB_CANCELLED");
  };
  const auto event = co_await qmp->wait_event(mark, std::move(wanted), kSwitchoverLimit);
  if (!event) co_return fail(event, "end the mirror");
  // A ready mirror that is told to end "completes": it has written and flushed everything. Anything else has not.
  const auto error = text_at(event->data, "error");
  if (event->name != "BLOCK_JOB_COMPLETED" || !error.empty()) {
    co_return fail(Errc::io, "end the mirror: {}", error.empty() ? "it was cut off" : error);
  }
  // The target stays open until resume() or the end: closing it would cost two round trips of the pause.
  co_return Result<>{};
}

sys::Task<Result<>> QemuMachine::start_memory(std::string socket, MemoryOptions options) {
  json::array capabilities{capability("events", true), capability("return-path", true),
                           capability("pause-before-switchover", true), capability("auto-converge", true)};
  json::object wanted{{"capabilities", std::move(capabilities)}};
  const auto capable = co_await execute("migrate-set-capabilities", std::move(wanted));
  if (!capable) co_return fail(capable, "prepare the migration");
  // QEMU takes the capability only before it starts, but the strength of the throttle at any time: it begins harmless.
  const int throttle = options.auto_converge ? 20 : 1;
  const auto rate = options.max_bytes_per_s > 0 ? options.max_bytes_per_s : kUnlimited;
  json::object parameters{{"downtime-limit", options.downtime_limit_ms},
                          {"max-bandwidth", static_cast<std::int64_t>(rate)},
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

sys::Task<Result<>> QemuMachine::allow_auto_converge() {
  json::object parameters{{"max-cpu-throttle", 99}, {"cpu-throttle-initial", 20}, {"cpu-throttle-increment", 10}};
  const auto set = co_await execute("migrate-set-parameters", std::move(parameters));
  if (!set) co_return pass(set);
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
    auto moved = [](const QmpEvent& event) { return event.name == "MIGRATION"; };
    const auto event = co_await qmp->wait_event(mark, std::move(moved), kPoll);
    if (!event && event.error().code == Errc::closed && state_ == MachineState::dead) {
      co_return fail(Errc::unavailable, "QEMU of {} has ended", spec_.id);
    }
  }
}

sys::Task<Result<>> QemuMachine::wait_paused() { co_return co_await wait_migration("pre-switchover"); }

sys::Task<Result<>> QemuMachine::continue_switchover() {
  json::object from{{"state", "pre-switchover"}};
  const auto continued = co_await execute("migrate-continue", std::move(from));
  if (!continued) co_return fail(continued, "continue the switchover");
  auto completed = wait_migration("completed");
  co_return co_await sys::within(runtime_.clock, kSwitchoverLimit, "send the device state", std::move(completed));
}

sys::Task<Result<MigrationStatus>> QemuMachine::migration_status() {
  MigrationStatus status;
  const auto answer = co_await execute("query-migrate");
  if (!answer) co_return pass(answer);
  if (const auto* object = answer->if_object()) {
    status.status = text_at(*object, "status");
    if (const auto* ram = object->if_contains("ram"); ram && ram->is_object()) {
      const auto& fields = ram->get_object();
      status.total_bytes = number_at(fields, "total");
      status.remaining_bytes = number_at(fields, "remaining");
      status.transferred_bytes = number_at(fields, "transferred");
      status.dirty_bytes_per_s = number_at(fields, "dirty-pages-rate") * number_at(fields, "page-size");
      status.rounds = static_cast<std::uint32_t>(number_at(fields, "dirty-sync-count"));
    }
  }
  const auto jobs = co_await execute("query-block-jobs");
  if (!jobs) co_return pass(jobs);
  if (const auto* list = jobs->if_array()) {
    for (const auto& job : *list) {
      if (!job.is_object() || text_at(job.get_object(), "device") != kMirror) continue;
      status.disk_total_bytes = number_at(job.get_object(), "len");
      status.disk_done_bytes = number_at(job.get_object(), "offset");
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
    const auto asked = co_await execute("migrate_cancel");
    if (!asked) co_return fail(asked, "cancel QEMU's migration");
    auto moved = [](const QmpEvent& event) { return event.name == "MIGRATION"; };
    (void)co_await qmp->wait_event(mark, std::move(moved), kPoll);
  }
}

sys::Task<Result<>> QemuMachine::cancel_mirror() {
  const auto deadline = runtime_.clock.now() + kCancelLimit;
  for (bool asked = false;;) {
    const auto qmp = qmp_;
    const auto mark = qmp->mark();
    const auto jobs = co_await execute("query-block-jobs");
    if (!jobs) co_return pass(jobs);
    if (!jobs->is_array() || jobs->get_array().empty()) break;
    if (runtime_.clock.now() > deadline) co_return fail(Errc::timed_out, "cancel the mirror: it does not end");
    if (!asked) {
      // Not in order: its target may be gone, and what it has written is of no use any more.
      json::object job{{"device", kMirror}, {"force", true}};
      const auto cancelled = co_await execute("block-job-cancel", std::move(job));
      if (!cancelled) log_.debug("{}", cancelled.error().message);  // it may have ended just now
      asked = true;
    }
    auto ended = [](const QmpEvent& event) { return event.name.starts_with("BLOCK_JOB_"); };
    (void)co_await qmp->wait_event(mark, std::move(ended), kPoll);
  }
  json::object target{{"node-name", kMirrorTarget}};
  const auto removed = co_await execute("blockdev-del", std::move(target));
  if (!removed) log_.debug("{}", removed.error().message);  // there is none when no mirror was started
  co_return Result<>{};
}

sys::Task<Result<>> QemuMachine::resume() {
  const auto migration = co_await cancel_migration();
  if (!migration) co_return migration;
  const auto mirror = co_await cancel_mirror();
  if (!mirror) co_return mirror;
  co_return co_await start();
}

// ---- as the destination ----

sys::Task<Result<>> QemuMachine::open_incoming() {
  json::array capabilities{capability("events", true), capability("return-path", true)};
  json::object wanted{{"capabilities", std::move(capabilities)}};
  const auto capable = co_await execute("migrate-set-capabilities", std::move(wanted));
  if (!capable) co_return fail(capable, "prepare for the migration");
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
    if (!status) co_return pass(status);
    if (*status == "completed") co_return Result<>{};
    if (*status == "failed") co_return fail(Errc::io, "QEMU could not load the memory");
    auto moved = [](const QmpEvent& event) { return event.name == "MIGRATION"; };
    const auto event = co_await qmp->wait_event(mark, std::move(moved), kPoll);
    if (!event && event.error().code == Errc::closed) {
      // A QEMU that can't load what it is sent ends itself; its process is seen to end a moment later.
      co_return fail(Errc::unavailable, "QEMU has ended while it loaded the memory: {}", problem_);
    }
  }
}

sys::Task<Result<>> QemuMachine::check_post_copy() {
  json::array capabilities{capability("postcopy-ram", true)};
  json::object wanted{{"capabilities", std::move(capabilities)}};
  const auto capable = co_await execute("migrate-set-capabilities", std::move(wanted));
  if (!capable) co_return fail(Errc::unsupported, "{}", capable.error().message);
  co_return Result<>{};
}

sys::Task<Result<>> QemuMachine::finish_disk() {
  if (spec_.disk_path.empty()) co_return Result<>{};
  const auto stopped = co_await execute("nbd-server-stop", json::object(), kSwitchoverLimit);
  if (!stopped) log_.debug("{}", stopped.error().message);  // an earlier agent may have stopped it
  // "stop" of a machine that stands still drains and flushes its disks, and does nothing else (QEMU's do_vm_stop).
  const auto flushed = co_await execute("stop", json::object(), kSwitchoverLimit);
  if (!flushed) co_return fail(flushed, "flush the disk");
  co_return runtime_.files.sync_file(spec_.disk_path);
}

sys::Task<Result<>> QemuMachine::start() {
  const auto started = co_await execute("cont");
  if (!started) co_return fail(started, "start the vCPUs");
  co_return co_await refresh();
}

}  // namespace godwit::hypervisor
