#include "agent/instances.h"

#include <set>

namespace godwit::agent {
namespace {

constexpr std::uint32_t kUidsPerHost = 4096;

std::unexpected<Error> no_machine(const Instance& instance) {
  return fail(Errc::unavailable, "instance {}: its QEMU doesn't run", instance.record().spec.id);
}

// The source's end of a migration, over QMP.
class QemuSource final : public migrate::SourceGuest {
 public:
  QemuSource(std::shared_ptr<hypervisor::Machine> machine, Instance& instance)
      : machine_(std::move(machine)), directory_(instance.directory()), uid_(instance.record().uid) {}

  migrate::GuestSockets sockets() const override {
    return {hypervisor::nbd_socket_of(directory_), hypervisor::memory_socket_of(directory_), uid_};
  }
  sys::Task<Result<>> start_disk(std::uint64_t max_bytes_per_s) override {
    return machine_->start_disk(sockets().disk, max_bytes_per_s);
  }
  sys::Task<Result<>> wait_disk_ready() override { return machine_->wait_disk_ready(); }
  sys::Task<Result<>> start_memory(wire::MigrationOptions options) override {
    hypervisor::MemoryOptions memory;
    memory.downtime_limit_ms = options.downtime_limit_ms;
    memory.max_bytes_per_s = options.max_bytes_per_s;
    memory.post_copy = options.post_copy;
    memory.auto_converge = false;  // allow_auto_converge() comes when the rounds don't shrink
    return machine_->start_memory(sockets().memory, memory);
  }
  sys::Task<Result<>> wait_paused() override { return machine_->wait_paused(); }
  sys::Task<Result<>> end_disk() override { return machine_->end_disk(); }
  sys::Task<Result<>> continue_switchover() override { return machine_->continue_switchover(); }
  sys::Task<Result<>> allow_pause(std::uint32_t downtime_limit_ms) override {
    return machine_->allow_pause(downtime_limit_ms);
  }
  sys::Task<Result<>> allow_auto_converge() override { return machine_->allow_auto_converge(); }
  sys::Task<Result<>> start_post_copy() override { return machine_->start_post_copy(); }
  sys::Task<Result<>> resume() override { return machine_->resume(); }
  sys::Task<void> wait_dead() override { return machine_->wait_dead(); }

  sys::Task<Result<wire::MigrationProgress>> progress() override {
    const auto status = co_await machine_->migration_status();
    if (!status) co_return pass(status);
    wire::MigrationProgress progress;
    progress.memory_total_bytes = status->total_bytes;
    progress.memory_remaining_bytes = status->remaining_bytes;
    progress.memory_sent_bytes = status->transferred_bytes;
    progress.dirty_bytes_per_s = status->dirty_bytes_per_s;
    progress.rounds = status->rounds;
    progress.disk_total_bytes = status->disk_total_bytes;
    progress.disk_sent_bytes = status->disk_done_bytes;
    co_return progress;
  }

 private:
  std::shared_ptr<hypervisor::Machine> machine_;  // shared with its Instance, which may let go of it first
  std::string directory_;
  unsigned uid_;
};

class QemuDestination final : public migrate::DestinationGuest {
 public:
  QemuDestination(std::shared_ptr<hypervisor::Machine> machine, Instance& instance)
      : machine_(std::move(machine)), directory_(instance.directory()), uid_(instance.record().uid) {}

  migrate::GuestSockets sockets() const override {
    return {hypervisor::nbd_socket_of(directory_), hypervisor::memory_socket_of(directory_), uid_};
  }
  std::string post_copy_problem() const override { return machine_->post_copy_problem(); }
  sys::Task<Result<>> wait_loaded() override { return machine_->wait_loaded(); }
  sys::Task<Result<>> wait_whole() override { return machine_->wait_whole(); }
  sys::Task<Result<>> finish_disk() override { return machine_->finish_disk(); }
  sys::Task<Result<>> start() override { return machine_->start(); }
  sys::Task<void> wait_dead() override { return machine_->wait_dead(); }

 private:
  std::shared_ptr<hypervisor::Machine> machine_;  // as in QemuSource
  std::string directory_;
  unsigned uid_;
};

}  // namespace

void Instances::restore(std::vector<InstanceRecord> records) {
  for (auto& record : records) add(std::move(record)).start();
}

Instance& Instances::add(InstanceRecord record) {
  auto& place = instances_[record.spec.id];
  place = std::make_unique<Instance>(context_, std::move(record));
  return *place;
}

Instance* Instances::find(const std::string& id) {
  const auto found = instances_.find(id);
  return found == instances_.end() || found->second->gone() ? nullptr : found->second.get();
}

Result<std::uint32_t> Instances::free_uid() const {
  std::set<std::uint32_t> used;
  for (const auto& [id, instance] : instances_) used.insert(instance->record().uid);
  for (std::uint32_t uid = uid_base_; uid < uid_base_ + kUidsPerHost; ++uid) {
    if (!used.contains(uid)) return uid;
  }
  return fail(Errc::exhausted, "this host has {} instances already: no uid is left", used.size());
}

Result<Instance*> Instances::create(wire::InstanceSpec spec, std::uint64_t location_version) {
  const auto valid = wire::validate(spec);
  if (!valid) return pass(valid);
  const auto known = instances_.find(spec.id);
  if (known != instances_.end()) return fail(Errc::conflict, "instance {}: is on this host already", spec.id);
  const auto uid = free_uid();
  if (!uid) return pass(uid);
  InstanceRecord record;
  record.spec = std::move(spec);
  record.uid = *uid;
  record.location_version = location_version;
  const auto saved = context_.records.save(record);
  if (!saved) return pass(saved);
  auto& instance = add(std::move(record));
  instance.start();
  return &instance;
}

void Instances::retry(const std::string& image_sha256) {
  for (const auto& [id, instance] : instances_) {
    if (instance->record().spec.image_sha256 == image_sha256) instance->retry();
  }
}

void Instances::drop_gone() {
  std::erase_if(instances_, [](const auto& each) { return each.second->gone() && each.second->idle(); });
}

sys::Task<void> Instances::stop() {
  for (const auto& [id, instance] : instances_) co_await instance->stop();
}

sys::Task<Result<std::unique_ptr<migrate::SourceGuest>>> Instances::open_source(std::string id) {
  auto* instance = find(id);
  if (!instance) co_return fail(Errc::not_found, "instance {}: is not on this host", id);
  const auto adopted = co_await instance->adopt();
  if (!adopted) co_return pass(adopted);
  auto machine = instance->machine();
  if (!machine) co_return no_machine(*instance);
  co_return std::make_unique<QemuSource>(std::move(machine), *instance);
}

sys::Task<Result<std::unique_ptr<migrate::DestinationGuest>>> Instances::receive(wire::InstanceSpec spec,
                                                                                 bool post_copy) {
  const auto id = spec.id;
  const auto created = create(std::move(spec), 0);
  if (!created) co_return pass(created);
  auto* instance = *created;
  const auto received = co_await instance->receive(post_copy);
  if (!received) co_return pass(received);
  auto machine = instance->machine();
  if (!machine) co_return no_machine(*instance);
  co_return std::make_unique<QemuDestination>(std::move(machine), *instance);
}

sys::Task<Result<std::unique_ptr<migrate::DestinationGuest>>> Instances::open_received(std::string id) {
  auto* instance = find(id);
  if (!instance) co_return fail(Errc::unavailable, "instance {}: is not on this host", id);
  const auto adopted = co_await instance->adopt();
  if (!adopted) co_return pass(adopted);
  auto machine = instance->machine();
  if (!machine) co_return no_machine(*instance);
  co_return std::make_unique<QemuDestination>(std::move(machine), *instance);
}

sys::Task<Result<>> Instances::end_received(std::string id) {
  auto* instance = find(id);
  if (!instance) co_return Result<>{};
  co_return co_await instance->end_received();
}

sys::Task<Result<>> Instances::destroy(std::string id) {
  auto* instance = find(id);
  if (!instance) co_return Result<>{};
  co_return co_await instance->destroy();
}

}  // namespace godwit::agent
