#include "agent/instance.h"

namespace godwit::agent {
namespace {

using hypervisor::Launch;
using hypervisor::MachineState;
using migrate::Standing;
using wire::DesiredInstanceState;
using wire::InstanceState;

constexpr Seconds kStopGrace{30};  // as long as EC2's guests may take for their shutdown under emulation
constexpr Millis kFirstRetry{1'000};
constexpr Millis kLastRetry{60'000};

}  // namespace

std::string tap_name_of(const std::string& instance) { return "gt" + instance.substr(2, 13); }

// Held by whoever works on the instance; gives the turn to the next when it ends.
class Instance::Turn {
 public:
  explicit Turn(Instance& instance) : instance_(&instance) { instance_->locked_ = true; }
  Turn(Turn&& other) noexcept : instance_(std::exchange(other.instance_, nullptr)) {}
  Turn& operator=(Turn&&) = delete;
  ~Turn() {
    if (!instance_) return;
    instance_->locked_ = false;
    instance_->unlocked_.notify();
  }

 private:
  Instance* instance_;
};

Instance::Instance(InstanceContext& context, InstanceRecord record)
    : context_(context),
      record_(std::move(record)),
      log_(context.runtime.log.named(record_.spec.id)),
      base_(
          context.runtime, {context.disk_server, directory(), record_.uid},
          [this](std::vector<std::uint32_t> pieces, image::desk::Urgency) {
            context_.images.want(record_.spec.image_sha256, pieces);
          },
          [this] { retry(); }),
      claim_(record_.location_version),
      unlocked_(context.runtime.executor),
      wake_(context.runtime.executor),
      gate_(context.runtime.executor) {}

Instance::~Instance() = default;

std::string Instance::directory() const { return context_.instances_directory + "/" + record_.spec.id; }

// Who is cancelled while it waits does not wait any more.
sys::Task<Instance::Turn> Instance::lock() {
  struct Waiting {
    std::size_t& count;
    explicit Waiting(std::size_t& all) : count(all) { ++count; }
    ~Waiting() { --count; }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
  };
  {
    const Waiting waiting(waiting_);
    while (locked_) co_await unlocked_.wait();
  }
  co_return Turn(*this);
}

void Instance::set_desired(DesiredInstanceState desired, Standing standing) {
  if (told_ && desired == desired_ && standing == standing_) return;
  // A stop that is asked for and taken back is how a guest that has ended itself is started again.
  if (desired == DesiredInstanceState::stopped && record_.halted) {
    record_.halted = false;
    save();
  }
  told_ = true;
  desired_ = desired;
  standing_ = standing;
  woken_ = true;
  wake_.notify();
}

void Instance::retry() {
  if (problem_.empty() && !base_.active()) return;
  woken_ = true;
  wake_.notify();
}

void Instance::start() { gate_.spawn(run()); }

sys::Task<void> Instance::stop() {
  co_await gate_.close();
  co_await base_.let_go();
  co_await let_go();
}

sys::Task<void> Instance::let_go() {
  if (!machine_) co_return;
  machine_->on_changed({});
  co_await machine_->detach();
  machine_.reset();
}

wire::InstanceReport Instance::report() const {
  wire::InstanceReport report;
  report.id = record_.spec.id;
  report.ready = record_.ready;
  report.location_version = record_.location_version;
  report.claim = record_.claim;
  report.problem = problem_;
  if (machine_ && report.problem.empty()) report.problem = machine_->problem();
  if (!machine_) {
    report.state =
        record_.halted || desired_ == DesiredInstanceState::stopped ? InstanceState::stopped : InstanceState::pending;
    return report;
  }
  switch (machine_->state()) {
    case MachineState::starting:
    case MachineState::incoming:
    case MachineState::dead: report.state = InstanceState::pending; break;
    case MachineState::running:
    case MachineState::paused:
    case MachineState::hung: report.state = InstanceState::running; break;
    case MachineState::shut_down: report.state = InstanceState::stopped; break;
  }
  if (desired_ != DesiredInstanceState::running && report.state == InstanceState::running) {
    report.state = desired_ == DesiredInstanceState::stopped ? InstanceState::stopping : InstanceState::shutting_down;
  }
  return report;
}

void Instance::set_ready() {
  if (record_.ready) return;
  record_.ready = true;
  save();
  context_.images.note_boot_order(record_.spec.image_sha256, base_.touched());
  context_.images.boots(record_.spec.image_sha256, record_.spec.id, false);
  context_.changed();
}

void Instance::set_arrived(std::uint64_t location_version, std::string claim) {
  if (record_.location_version == location_version) return;
  record_.location_version = location_version;
  record_.claim = std::move(claim);
  save();
  set_claim(location_version);
}

void Instance::set_claim(std::uint64_t version) {
  if (claim_ == version) return;
  claim_ = version;
  context_.changed();
}

void Instance::save() {
  const auto saved = context_.records.save(record_);
  if (!saved) log_.error("{}", saved.error().message);
}

void Instance::attach(std::unique_ptr<hypervisor::Machine> machine) {
  machine_ = std::move(machine);
  machine_->on_changed([this] {
    woken_ = true;
    wake_.notify();
    context_.changed();
  });
  context_.changed();
}

sys::Task<void> Instance::run() {
  Millis retry = kFirstRetry;
  while (!gone_) {
    woken_ = false;
    const auto began = context_.runtime.clock.now();
    const auto done = co_await step();
    problem_ = done ? "" : done.error().message;
    const bool boots_without = waits_for_image_ || base_.active();
    context_.images.boots(record_.spec.image_sha256, record_.spec.id, boots_without && !record_.ready);
    if (!done) log_.warn("{}", problem_);
    context_.changed();
    if (done && context_.runtime.clock.now() - began < kLastRetry) retry = kFirstRetry;
    if (gone_ || woken_) continue;
    if (done) {
      co_await wake_.wait();
    } else {
      co_await wake_.wait_until(context_.runtime.clock, context_.runtime.clock.now() + retry);
      retry = std::min(retry * 2, kLastRetry);
    }
  }
}

// One look at what is and what shall be. Returns when they meet, or with what stands against it.
sys::Task<Result<>> Instance::step() {
  if (!told_) co_return Result<>{};
  const auto turn = co_await lock();
  waits_for_image_ = false;
  if (standing_ == Standing::gone || standing_ == Standing::must_not_run || standing_ == Standing::leaving) {
    co_return Result<>{};  // a migration has the word
  }
  if (machine_ && machine_->state() == MachineState::dead) {
    log_.warn("QEMU is gone: {}", machine_->problem());
    co_await let_go();
  }
  if (!machine_) {
    auto adopted = co_await hypervisor::Machine::adopt(context_.runtime, directory());
    if (adopted) attach(std::move(*adopted));
    // A QEMU that is alive but hangs is left alone: killing it is the user's decision (stop, terminate).
    if (!adopted && adopted.error().code == Errc::timed_out && desired_ == DesiredInstanceState::running) {
      co_return pass(adopted);
    }
  }
  if (desired_ == DesiredInstanceState::absent) co_return co_await erase();
  if (desired_ == DesiredInstanceState::stopped) co_return co_await halt();
  co_return co_await boot();
}

sys::Task<Result<>> Instance::boot() {
  if (machine_ && machine_->state() == MachineState::shut_down) {
    log_.info("the guest has shut itself down");
    record_.halted = true;
    record_.ready = false;
    save();
    co_await machine_->kill();
    co_await let_go();
  }
  if (record_.halted) co_return Result<>{};
  if (machine_ && machine_->state() == MachineState::incoming) {
    // Ours by a migration whose memory never came whole: the disk is what counts. (Never `cont` such a QEMU: it would
    // start by itself, whenever it has loaded something.)
    co_await machine_->kill();
    co_await let_go();
  }
  if (!machine_) {
    const auto launched = co_await launch(Launch::cold);
    if (!launched) co_return launched;
  } else if (machine_->state() == MachineState::paused) {
    const auto resumed = co_await machine_->resume();
    if (!resumed) co_return resumed;
  }
  co_return co_await settle_base();
}

// As long as its image is not whole there is somebody to read it from; then it is put on the image's file.
sys::Task<Result<>> Instance::settle_base() {
  if (!machine_ || machine_->has_local_base()) co_return co_await base_.end();
  const auto& sha256 = record_.spec.image_sha256;
  auto disk = context_.images.disk_of(sha256);
  if (!disk) co_return pass(disk);
  const auto served = co_await base_.ensure(std::move(*disk));
  if (!served || !context_.images.find(sha256)) co_return served;
  const auto put = co_await machine_->use_local_base();
  if (!put) co_return put;
  log_.info("its image is here: it reads the image's file");
  if (!record_.ready) context_.images.note_boot_order(sha256, base_.touched());  // as far as it came
  co_return co_await base_.end();
}

Result<> Instance::make_disk(const image::Image& image) {
  const auto path = directory() + "/disk.qcow2";
  if (context_.runtime.files.exists(path)) return {};
  const std::uint64_t size = static_cast<std::uint64_t>(record_.spec.disk_gib) << 30U;
  return context_.images.create_overlay(image, path, size, record_.uid);
}

// What arrives by a migration is made of blocks of the image here: of all of it. Else what the boot needs has the link
// to itself from now on, not only from when QEMU runs.
Result<Instance::Base> Instance::find_base(Launch how) {
  const auto& sha256 = record_.spec.image_sha256;
  auto whole = context_.images.find(sha256);
  if (whole) return Base{std::move(*whole), std::nullopt};
  if (whole.error().code != Errc::unavailable || how != Launch::cold) return pass(whole);
  waits_for_image_ = true;
  context_.images.boots(sha256, record_.spec.id, true);
  auto partial = context_.images.find_partial(sha256);
  if (!partial) return pass(partial);
  return Base{std::move(partial->image), std::move(partial->disk)};
}

sys::Task<Result<>> Instance::launch(Launch how) {
  const auto& spec = record_.spec;
  const auto held = context_.images.hold(spec.image_sha256, spec.id);
  if (!held) co_return held;
  auto base = find_base(how);
  if (!base) co_return pass(base);
  const auto* image = &base->image;
  const auto made = context_.runtime.files.make_directories(directory(), 0700, record_.uid);
  if (!made) co_return made;
  const auto disk = make_disk(*image);
  if (!disk) co_return disk;

  hypervisor::MachineSpec machine;
  machine.id = spec.id;
  machine.directory = directory();
  machine.uid = record_.uid;
  machine.vcpus = spec.vcpus;
  machine.memory_mib = spec.memory_mib;
  machine.machine_type = spec.machine_type;
  machine.cpu_model = spec.cpu_model;
  machine.accelerator = spec.accelerator;
  machine.disk_path = directory() + "/disk.qcow2";
  machine.base_path = image->disk_path;
  machine.base_format = image->recipe.format;
  machine.kernel_path = image->kernel_path;
  machine.initrd_path = image->initrd_path;
  machine.cmdline = image->recipe.cmdline;
  machine.mac = spec.interface.mac;
  machine.mtu = context_.mtu_of(spec.interface.network);
  machine.serial = hypervisor::serial_of(spec.id);
  machine.queue_pairs = spec.queue_pairs;

  if (base->partial) {
    const auto served = co_await base_.ensure(std::move(*base->partial));
    if (!served) co_return served;
    machine.base_socket = image::base_socket_of(directory());
  }
  auto tap = context_.runtime.taps.open_for_guest(tap_name_of(spec.id), machine.mtu, machine.queue_pairs);
  if (!tap) co_return pass(tap);
  auto launched =
      co_await hypervisor::Machine::launch(context_.runtime, context_.qemu, std::move(machine), how, std::move(*tap));
  if (!launched) co_return pass(launched);
  log_.info("{} ({} vCPUs, {} MiB, {}{})", how == Launch::cold ? "boots" : "waits for its memory", spec.vcpus,
            spec.memory_mib, spec.accelerator, base_.active() ? ", while its image comes" : "");
  attach(std::move(*launched));
  co_return Result<>{};
}

sys::Task<Result<>> Instance::halt() {
  if (!machine_) co_return co_await base_.end();
  co_await machine_->stop(kStopGrace);
  co_await let_go();
  record_.ready = false;
  save();
  co_return co_await base_.end();
}

sys::Task<Result<>> Instance::erase() {
  if (machine_) {
    co_await machine_->kill();
    co_await let_go();
  }
  const auto unserved = co_await base_.end();
  if (!unserved) co_return unserved;
  const auto removed = context_.runtime.files.remove_tree(directory());
  if (!removed) co_return removed;
  const auto silenced = context_.runtime.files.remove(hypervisor::log_of(directory()));
  if (!silenced) co_return silenced;
  context_.images.let_go(record_.spec.image_sha256, record_.spec.id);
  const auto forgotten = context_.records.remove(record_.spec.id);
  if (!forgotten) co_return forgotten;
  log_.info("deleted");
  gone_ = true;
  wake_.notify();  // the loop ends
  context_.changed();
  co_return Result<>{};
}

sys::Task<Result<>> Instance::receive(bool post_copy) {
  const auto turn = co_await lock();
  const auto how = post_copy ? Launch::incoming_post_copy : Launch::incoming;
  const auto launched = co_await launch(how);
  if (launched) co_return launched;
  const auto erased = co_await erase();
  if (!erased) log_.error("{}", erased.error().message);
  co_return launched;
}

sys::Task<Result<>> Instance::adopt() {
  const auto turn = co_await lock();
  if (machine_ && machine_->state() != MachineState::dead) co_return Result<>{};
  co_await let_go();
  auto adopted = co_await hypervisor::Machine::adopt(context_.runtime, directory());
  if (!adopted) co_return fail(Errc::unavailable, "{}", adopted.error().message);
  attach(std::move(*adopted));
  co_return Result<>{};
}

bool Instance::stopped() const {
  return told_ && !machine_ && (record_.halted || desired_ == DesiredInstanceState::stopped);
}

sys::Task<Result<std::shared_ptr<void>>> Instance::hold_disk() {
  auto turn = co_await lock();
  if (gone_) co_return fail(Errc::not_found, "{} has gone", record_.spec.id);
  if (standing_ != Standing::may_run) co_return fail(Errc::conflict, "{} moves", record_.spec.id);
  if (!machine_) {
    auto adopted = co_await hypervisor::Machine::adopt(context_.runtime, directory());
    // The record of one that is dead has gone by now: only where there is none nobody has the disk.
    if (!adopted && adopted.error().code == Errc::unavailable) {
      adopted = co_await hypervisor::Machine::adopt(context_.runtime, directory());
    }
    if (adopted) {
      attach(std::move(*adopted));
    } else if (adopted.error().code != Errc::not_found) {
      co_return fail(Errc::conflict, "{}", adopted.error().message);
    }
  }
  if (!stopped()) co_return fail(Errc::conflict, "{} is not stopped", record_.spec.id);
  co_return std::shared_ptr<void>(std::make_shared<Turn>(std::move(turn)));
}

sys::Task<Result<>> Instance::end_received() {
  const auto turn = co_await lock();
  co_await let_go();
  co_return co_await hypervisor::Machine::end(context_.runtime, directory());
}

sys::Task<Result<>> Instance::destroy() {
  const auto turn = co_await lock();
  if (!machine_) {
    auto adopted = co_await hypervisor::Machine::adopt(context_.runtime, directory());
    if (adopted) attach(std::move(*adopted));
  }
  co_return co_await erase();
}

}  // namespace godwit::agent
