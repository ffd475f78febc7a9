// What a machine's overlay is on: at first maybe an NBD server, in the end its image's file.
// docs/protocols/disk-server.md, "Onto the file".
#include "hypervisor/qemu_machine.h"
#include "wire/json_fields.h"

namespace godwit::hypervisor {
namespace {

namespace json = wire::json;

constexpr Seconds kReopenLimit{30};  // for the reads that are under way

}  // namespace

sys::Task<Result<std::set<std::string>>> QemuMachine::nodes() {
  json::object how{{"flat", true}};
  const auto answer = co_await execute("query-named-block-nodes", std::move(how));
  if (!answer) co_return pass(answer);
  const auto* list = answer->if_array();
  if (!list) co_return fail(Errc::protocol, "query-named-block-nodes: no array");
  std::set<std::string> names;
  for (const auto& each : *list) {
    if (each.is_object()) names.insert(wire::text_at(each.get_object(), "node-name"));
  }
  co_return names;
}

// A node that nothing is on can be removed, and no other: so QEMU itself says which of the two the disk is on.
sys::Task<Result<>> QemuMachine::look_at_base() {
  if (spec_.base_socket.empty()) co_return Result<>{};
  const auto names = co_await nodes();
  if (!names) co_return fail(names, "see what the disk is on");
  local_base_ = !names->contains(kServedBase);
  if (local_base_) co_return Result<>{};
  json::object about{{"node-name", kServedBase}};
  const auto removed = co_await execute("blockdev-del", std::move(about));
  if (!removed && removed.error().code != Errc::conflict) co_return fail(removed, "see what the disk is on");
  local_base_ = removed.has_value();
  co_return Result<>{};
}

sys::Task<Result<>> QemuMachine::may_change_base() {
  const auto runstate = co_await query_runstate();
  if (!runstate) co_return pass(runstate);
  const auto migration = co_await migration_word();
  if (!migration) co_return pass(migration);
  const auto mirror = co_await mirror_job();
  if (!mirror) co_return pass(mirror);
  const auto snapshot = co_await snapshot_job();
  if (!snapshot) co_return pass(snapshot);
  if (!snapshot->status.empty()) co_return fail(Errc::conflict, "its disk is being copied");
  const bool stands = *runstate == "running" || *runstate == "paused" || *runstate == "io-error";
  const bool moves =
      *migration != "none" && *migration != "completed" && *migration != "failed" && *migration != "cancelled";
  if (!stands || moves || !mirror->status.empty()) {
    co_return fail(Errc::conflict, "it is {}, its migration {}{}", *runstate, *migration,
                   mirror->status.empty() ? "" : ", its mirror " + mirror->status);
  }
  co_return Result<>{};
}

sys::Task<Result<>> QemuMachine::use_local_base() {
  const auto what = "put the disk of " + spec_.id + " on its image's file";
  const auto looked = co_await look_at_base();
  if (!looked) co_return fail(looked, what);
  if (local_base_) co_return Result<>{};
  const auto may = co_await may_change_base();
  if (!may) co_return fail(may, what);
  const auto names = co_await nodes();
  if (!names) co_return fail(names, what);
  if (!names->contains(kLocalBase)) {
    auto node = local_base_node(spec_);
    const auto added = co_await execute("blockdev-add", std::move(node));
    if (!added) co_return fail(added, what);
  }
  json::array now;
  now.emplace_back(disk_node(spec_, true));
  json::object about{{"options", std::move(now)}};
  const auto reopened = co_await execute("blockdev-reopen", std::move(about), kReopenLimit);
  if (!reopened) co_return fail(reopened, what);
  co_return co_await look_at_base();
}

}  // namespace godwit::hypervisor
