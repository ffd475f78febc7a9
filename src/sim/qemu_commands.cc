// The commands of a simulated QEMU's monitor.
#include "sim/qemu.h"
#include "wire/json_fields.h"

namespace godwit::sim {
namespace {

using wire::flag_at;
using wire::number_at;
using wire::object_at;
using wire::text_at;

// "unix:/x" -> "/x"
std::string socket_of(const json::object& arguments) {
  const auto uri = text_at(arguments, "uri");
  return uri.starts_with("unix:") ? uri.substr(5) : uri;
}

json::value done() { return json::object(); }

Result<json::value> told(const Result<>& result) {
  if (!result) return pass(result);
  return done();
}

}  // namespace

void Qemu::on(const std::string& name, std::function<Reply(const json::object&)> now) {
  commands_[name] = [now = std::move(now)](json::object arguments) -> sys::Task<Reply> { co_return now(arguments); };
}

sys::Task<Qemu::Reply> Qemu::execute(std::string command, json::object arguments) {
  const auto found = commands_.find(command);
  if (found == commands_.end()) co_return fail(Errc::unsupported, "The command {} has not been found", command);
  co_return co_await found->second(std::move(arguments));
}

void Qemu::add_commands() {
  on("qmp_capabilities", [](const json::object&) -> Reply { return done(); });
  on("query-status", [this](const json::object&) { return status(); });
  on("cont", [this](const json::object&) { return cont(); });
  commands_["stop"] = [this](json::object arguments) { return stop_and_flush(std::move(arguments)); };
  on("system_powerdown", [this](const json::object&) -> Reply {
    gate_.spawn(press_power_button());
    return done();
  });
  on("quit", [this](const json::object&) -> Reply {
    shut_down(false, "host-qmp-quit");
    gate_.spawn(quit_soon());
    return done();
  });
}

Qemu::Reply Qemu::status() const {
  return json::object{{"status", core_.runstate}, {"singlestep", false}, {"running", core_.running()}};
}

Qemu::Reply Qemu::cont() {
  if (core_.runstate == "inmigrate") {
    core_.autostart = true;
    return done();
  }
  if (core_.runstate == "finish-migrate") return fail(Errc::conflict, "Migration is not finalized yet");
  if (core_.runstate == "shutdown") return fail(Errc::conflict, "Resetting the Virtual Machine is required");
  const auto active = core_.activate_disk();
  if (!active) return pass(active);
  core_.run();
  return done();
}

// Of a machine that stands still already: flushes its disks, and does nothing else.
sys::Task<Qemu::Reply> Qemu::stop_and_flush(json::object) {
  if (core_.runstate == "inmigrate") {
    core_.autostart = false;
    co_return done();
  }
  if (core_.running()) {
    core_.halt("paused");
    if (has_job()) mirror_->on_drain();
  }
  const MainLoop::Hold hold(core_.loop);
  const auto flushed = co_await core_.flush_all();
  if (!flushed) core_.runtime().log.debug("stop: {}", flushed.error().message);  // QEMU doesn't tell either
  co_return done();
}

// Of a node with the options that it has: ends its reads, flushes it, and says when that failed.
sys::Task<Qemu::Reply> Qemu::reopen(json::object arguments) {
  const auto* list = arguments.if_contains("options");
  const bool one = list && list->is_array() && list->get_array().size() == 1 && list->get_array()[0].is_object();
  if (!one || text_at(list->get_array()[0].get_object(), "node-name") != "disk0") {
    co_return fail(Errc::conflict, "Failed to find node with node-name=''");
  }
  const MainLoop::Hold hold(core_.loop);
  auto backing = text_at(list->get_array()[0].get_object(), "backing");
  const auto based = co_await base_.reopen(std::move(backing));
  if (!based) co_return pass(based);
  if (!core_.disk.flush()) co_return fail(Errc::conflict, "Error flushing drive: No space left on device");
  co_return done();
}

// ---- the mirror

void Qemu::add_mirror_commands() {
  commands_["blockdev-add"] = [this](json::object arguments) { return add_target(std::move(arguments)); };
  commands_["blockdev-del"] = [this](json::object arguments) { return remove_target(std::move(arguments)); };
  on("query-named-block-nodes", [this](const json::object&) -> Reply { return base_.named_nodes(); });
  commands_["blockdev-reopen"] = [this](json::object arguments) { return reopen(std::move(arguments)); };
  on("blockdev-mirror", [this](const json::object& arguments) { return mirror(arguments); });
  on("blockdev-backup", [this](const json::object& arguments) { return back_up(arguments); });
  on("block-job-cancel", [this](const json::object& arguments) { return cancel_job(arguments); });
  on("job-dismiss", [this](const json::object& arguments) { return dismiss_job(arguments); });
  on("query-jobs", [this](const json::object&) -> Reply {
    json::array jobs;
    if (has_job()) jobs.emplace_back(mirror_->job());
    if (has_backup()) jobs.emplace_back(backup_->job());
    return jobs;
  });
  on("query-block-jobs", [this](const json::object&) -> Reply {
    json::array jobs;
    if (has_job()) jobs.emplace_back(mirror_->block_job());
    return jobs;
  });
}

sys::Task<Qemu::Reply> Qemu::add_target(json::object arguments) {
  const auto name = text_at(arguments, "node-name");
  if (text_at(arguments, "driver") != "nbd") {
    const auto file = text_at(object_at(arguments, "file"), "filename");
    const auto added = base_.add(name, file);
    if (added && text_at(arguments, "driver") == "qcow2") {
      backup_node_ = name;
      backup_path_ = file;
    }
    co_return told(added);
  }
  if (core_.target) co_return fail(Errc::conflict, "Duplicate nodes with node-name='{}'", name);
  const MainLoop::Hold hold(core_.loop);
  const auto path = text_at(object_at(arguments, "server"), "path");
  auto target = co_await NbdTarget::open(core_.runtime(), path, text_at(arguments, "export"));
  if (!target) co_return pass(target);
  core_.target = std::move(*target);
  target_name_ = name;
  co_return done();
}

sys::Task<Qemu::Reply> Qemu::remove_target(json::object arguments) {
  const auto name = text_at(arguments, "node-name");
  if (has_backup() && !backup_->concluded() && name == backup_node_) {
    co_return fail(Errc::conflict, "Node {} is in use", name);
  }
  if (base_.has(name)) co_return told(base_.remove(name));
  if (!core_.target || name != target_name_) {
    co_return fail(Errc::conflict, "Failed to find node with node-name='{}'", name);
  }
  if (has_job() && !mirror_->concluded()) co_return fail(Errc::conflict, "Node {} is in use", name);
  const MainLoop::Hold hold(core_.loop);
  const auto flushed = co_await core_.target->flush();
  if (!flushed) core_.runtime().log.debug("blockdev-del: {}", flushed.error().message);
  core_.target.reset();
  co_return done();
}

Qemu::Reply Qemu::mirror(const json::object& arguments) {
  MirrorOptions options;
  options.id = text_at(arguments, "job-id");
  options.bytes_per_s = number_at(arguments, "speed").value_or(0);
  options.auto_dismiss = flag_at(arguments, "auto-dismiss", true);
  if (has_job()) return fail(Errc::conflict, "Job ID '{}' already in use", options.id);
  const auto target = text_at(arguments, "target");
  if (!core_.target || target != target_name_) {
    return fail(Errc::conflict, "Cannot find device='' nor node-name='{}'", target);
  }
  mirror_ = std::make_unique<QemuMirror>(core_, std::move(options));
  gate_.spawn(mirror_->run());
  return done();
}

// A copy of the disk as it is now.
Qemu::Reply Qemu::back_up(const json::object& arguments) {
  const auto id = text_at(arguments, "job-id");
  if (has_backup()) return fail(Errc::conflict, "Job ID '{}' already in use", id);
  const auto target = text_at(arguments, "target");
  if (!base_.has(target) || target != backup_node_) {
    return fail(Errc::conflict, "Cannot find device='' nor node-name='{}'", target);
  }
  backup_ = std::make_unique<QemuBackup>(core_, id, backup_path_);
  gate_.spawn(backup_->run());
  return done();
}

Qemu::Reply Qemu::dismiss_job(const json::object& arguments) {
  const auto id = text_at(arguments, "id");
  if (has_backup() && backup_->id() == id && backup_->concluded()) {
    backup_->dismiss();
    return done();
  }
  if (!has_job() || mirror_->id() != id) return fail(Errc::conflict, "Job not found");
  if (!mirror_->concluded()) return fail(Errc::conflict, "Job '{}' can't be dismissed now", mirror_->id());
  mirror_->dismiss();
  return done();
}

Qemu::Reply Qemu::cancel_job(const json::object& arguments) {
  const auto id = text_at(arguments, "device");
  if (has_backup() && backup_->id() == id && !backup_->concluded()) {
    backup_->cancel();
    return done();
  }
  if (!has_job() || mirror_->id() != id) return fail(Errc::not_found, "Block job '{}' not found", id);
  if (mirror_->concluded()) {
    return fail(Errc::conflict, "Job '{}' in state 'concluded' cannot accept command verb 'cancel'", id);
  }
  mirror_->cancel(flag_at(arguments, "force", false));
  return done();
}

// ---- migrations

void Qemu::add_migration_commands() {
  on("migrate-set-capabilities", [this](const json::object& arguments) { return set_capabilities(arguments); });
  on("migrate-set-parameters", [this](const json::object& arguments) { return set_parameters(arguments); });
  on("migrate", [this](const json::object& arguments) { return told(outgoing_.start(socket_of(arguments))); });
  on("migrate-continue",
     [this](const json::object& arguments) { return told(outgoing_.go_on(text_at(arguments, "state"))); });
  on("migrate-start-postcopy", [this](const json::object&) { return told(outgoing_.start_post_copy()); });
  on("migrate_cancel", [this](const json::object&) -> Reply {
    outgoing_.cancel();
    return done();
  });
  on("query-migrate", [this](const json::object&) -> Reply {
    return incoming_.started() ? incoming_.describe() : outgoing_.describe();
  });
  on("migrate-incoming", [this](const json::object& arguments) { return told(incoming_.start(socket_of(arguments))); });
}

Qemu::Reply Qemu::set_capabilities(const json::object& arguments) {
  const auto* list = arguments.if_contains("capabilities");
  if (!list || !list->is_array()) return fail(Errc::invalid_argument, "Parameter 'capabilities' is missing");
  for (const auto& each : list->get_array()) {
    if (!each.is_object()) continue;
    const auto name = text_at(each.get_object(), "capability");
    const bool on = flag_at(each.get_object(), "state", false);
    if (name == "postcopy-ram") {
      if (on && core_.line.incoming && !core_.settings.post_copy) {
        return fail(Errc::conflict, "Postcopy is not supported");
      }
      parameters_.post_copy = on;
    }
    if (name == "return-path") parameters_.return_path = on;
    if (name == "pause-before-switchover") parameters_.pause_before_switchover = on;
  }
  return done();
}

Qemu::Reply Qemu::set_parameters(const json::object& arguments) {
  if (const auto limit = number_at(arguments, "downtime-limit")) parameters_.downtime_limit_ms = *limit;
  if (const auto rate = number_at(arguments, "max-bandwidth")) parameters_.max_bytes_per_s = *rate;
  if (const auto rate = number_at(arguments, "max-postcopy-bandwidth")) parameters_.max_post_copy_bytes_per_s = *rate;
  return done();
}

// ---- the disk's server

void Qemu::add_server_commands() {
  on("nbd-server-start", [this](const json::object& arguments) -> Reply {
    if (server_.started()) return fail(Errc::conflict, "NBD server already running");
    return told(server_.start(text_at(object_at(object_at(arguments, "addr"), "data"), "path")));
  });
  on("block-export-add", [this](const json::object& arguments) -> Reply {
    if (!server_.started()) return fail(Errc::conflict, "NBD server not running");
    const auto active = core_.activate_disk();
    if (!active) return pass(active);
    server_.export_as(text_at(arguments, "name"));
    return done();
  });
  on("nbd-server-stop", [this](const json::object&) -> Reply {
    if (!server_.started()) return fail(Errc::conflict, "NBD server not running");
    if (!server_.exported().empty()) {
      json::object data{{"id", server_.exported()}};
      core_.event("BLOCK_EXPORT_DELETED", std::move(data));
    }
    server_.stop();
    return done();
  });
}

}  // namespace godwit::sim
