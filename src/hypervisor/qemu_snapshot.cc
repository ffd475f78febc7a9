// A copy of what a machine's overlay has, as it was at one moment, while the guest runs on: QEMU's backup job, which
// copies a cluster before the guest's next write to it. qapi/block-core.json, blockdev-backup. What the overlay says to
// be zeros, above whatever its base has, the copy says too (QEMU 7.2; seen with writes of zeros and discards).
#include "hypervisor/qemu_machine.h"
#include "wire/json_fields.h"

namespace godwit::hypervisor {
namespace {

namespace json = wire::json;
using wire::text_at;

constexpr const char* kDisk = "disk0";
constexpr const char* kJob = "snapshot";
constexpr const char* kTarget = "snapshot-target";
constexpr Millis kPoll{500};  // for what an event may have told an earlier agent
constexpr Seconds kEndLimit{20};

bool is_about_snapshot(const QmpEvent& event) {
  return event.name == "JOB_STATUS_CHANGE" && text_at(event.data, "id") == kJob;
}

bool has_ended(const std::string& status) { return status == "concluded" || status == "null"; }

}  // namespace

sys::Task<Result<QemuMachine::SnapshotJob>> QemuMachine::snapshot_job() {
  const auto answer = co_await execute("query-jobs");
  if (!answer) co_return pass(answer);
  const auto* list = answer->if_array();
  if (!list) co_return fail(Errc::protocol, "query-jobs: no array");
  for (const auto& each : *list) {
    const auto* job = each.if_object();
    if (job && text_at(*job, "id") == kJob) co_return SnapshotJob{text_at(*job, "status"), text_at(*job, "error")};
  }
  co_return SnapshotJob{};
}

sys::Task<Result<>> QemuMachine::start_snapshot(std::string path) {
  const auto what = "copy the disk of " + spec_.id;
  const auto may = co_await may_change_base();
  if (!may) co_return fail(may, what);
  json::object file{{"driver", "file"}, {"filename", path}};
  // The overlay's base is no part of it: what is not in the copy is in the base.
  json::object target{
      {"driver", "qcow2"}, {"node-name", kTarget}, {"file", std::move(file)}, {"backing", json::value(nullptr)}};
  const auto added = co_await execute("blockdev-add", std::move(target), Seconds{30});
  if (!added) co_return fail(added, what);
  json::object job{{"job-id", kJob}, {"device", kDisk}, {"target", kTarget}, {"sync", "top"}, {"auto-dismiss", false}};
  const auto started = co_await execute("blockdev-backup", std::move(job));
  if (!started) co_return fail(started, what);
  co_return Result<>{};
}

sys::Task<Result<>> QemuMachine::wait_snapshot() {
  for (;;) {
    const auto qmp = qmp_;
    const auto mark = qmp->mark();
    const auto job = co_await snapshot_job();
    if (!job) co_return fail(job, "copy the disk of " + spec_.id);
    if (job->status.empty()) co_return fail(Errc::io, "copy the disk of {}: nobody copies it", spec_.id);
    if (!job->error.empty()) co_return fail(Errc::io, "copy the disk of {}: {}", spec_.id, job->error);
    if (has_ended(job->status)) co_return Result<>{};
    (void)co_await qmp->wait_event(mark, is_about_snapshot, kPoll);
  }
}

sys::Task<Result<>> QemuMachine::end_snapshot() {
  const auto what = "end the copy of the disk of " + spec_.id;
  const auto deadline = runtime_.clock.now() + kEndLimit;
  for (;;) {
    const auto qmp = qmp_;
    const auto mark = qmp->mark();
    const auto job = co_await snapshot_job();
    if (!job) co_return fail(job, what);
    if (job->status.empty() || job->status == "null") break;
    if (runtime_.clock.now() > deadline) co_return fail(Errc::timed_out, "{}: it is still {}", what, job->status);
    if (job->status == "concluded") {
      json::object about{{"id", kJob}};
      const auto dismissed = co_await execute("job-dismiss", std::move(about));
      if (!dismissed) co_return fail(dismissed, what);
      break;
    }
    json::object about{{"device", kJob}, {"force", true}};
    (void)co_await execute("block-job-cancel", std::move(about));  // it may just have ended
    (void)co_await qmp->wait_event(mark, is_about_snapshot, kPoll);
  }
  const auto names = co_await nodes();
  if (!names) co_return fail(names, what);
  if (!names->contains(kTarget)) co_return Result<>{};
  json::object about{{"node-name", kTarget}};
  const auto removed = co_await execute("blockdev-del", std::move(about));
  if (!removed) co_return fail(removed, what);
  co_return Result<>{};
}

}  // namespace godwit::hypervisor
