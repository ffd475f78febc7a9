#include "hypervisor/qemu_machine.h"

#include "sys/begun.h"

#include <csignal>

namespace godwit::hypervisor {
namespace {

constexpr Millis kStartLimit{15'000};   // until the monitor answers; a loaded host under emulation takes 2 s
constexpr Millis kMonitorPoll{10'000};  // a state that no event told of is seen after this
constexpr Millis kReconnectPause{250};
constexpr Millis kConnectPause{20};
constexpr std::size_t kRecordLimit = 64UL * 1024;
constexpr std::size_t kLogTail = 256UL * 1024;

std::string record_path(const std::string& directory) { return directory + ".json"; }

std::string text_of(const wire::json::object& object, std::string_view key) {
  const auto* field = object.if_contains(wire::json::string_view(key.data(), key.size()));
  return field && field->is_string() ? std::string(field->get_string()) : std::string();
}

struct Seen {
  MachineState state;
  std::string problem;
};

// QEMU's RunState (qapi/run-state.json) in our words.
Seen seen(const std::string& status) {
  if (status == "running") return {MachineState::running, ""};
  if (status == "inmigrate") return {MachineState::incoming, ""};
  if (status == "shutdown") return {MachineState::shut_down, ""};
  if (status == "io-error") return {MachineState::paused, "stopped by an I/O error of its disk"};
  if (status == "internal-error") return {MachineState::paused, "QEMU has met an internal error"};
  if (status == "guest-panicked") return {MachineState::paused, "the guest's kernel has panicked"};
  return {MachineState::paused, ""};
}

// The last line that QEMU wrote, without its time stamp: why it ended.
std::string last_words(sys::Files& files, const std::string& directory) {
  const auto log = files.read(log_of(directory), kLogTail);
  if (!log || log->empty()) return "it said nothing";
  const auto end = log->find_last_not_of('\n');
  if (end == std::string::npos) return "it said nothing";
  const auto start = log->rfind('\n', end);
  return log->substr(start == std::string::npos ? 0 : start + 1,
                     end - (start == std::string::npos ? 0 : start + 1) + 1);
}

// QEMU makes its socket a moment after it starts.
sys::Task<Result<std::unique_ptr<Qmp>>> connect_when_there(sys::Runtime& runtime, std::string directory,
                                                           sys::ProcessId process) {
  const auto deadline = runtime.clock.now() + kStartLimit;
  for (;;) {
    auto qmp = co_await Qmp::connect(runtime, directory + "/qmp.sock");
    if (qmp) co_return std::move(qmp);
    if (!runtime.processes.alive(process)) {
      co_return fail(Errc::io, "QEMU has ended: {}", last_words(runtime.files, directory));
    }
    if (runtime.clock.now() > deadline) {
      co_return fail(Errc::timed_out, "QEMU (pid {}) is alive, but its monitor doesn't answer: {}", process.pid,
                     qmp.error().message);
    }
    co_await runtime.clock.sleep_for(kConnectPause);
  }
}

}  // namespace

sys::Task<Result<std::unique_ptr<Machine>>> Machine::launch(sys::Runtime& runtime, QemuProgram qemu, MachineSpec spec,
                                                            Launch launch, std::vector<int> tap_descriptors) {
  constexpr int kFirstInQemu = 3;
  sys::ProcessSpec process;
  std::vector<int> in_qemu;
  for (const int each : tap_descriptors) {
    in_qemu.push_back(kFirstInQemu + static_cast<int>(in_qemu.size()));
    process.descriptors.emplace_back(each, in_qemu.back());
  }
  process.argv = command_line(qemu, spec, launch, in_qemu);
  process.uid = spec.uid;
  process.output_path = log_of(spec.directory);
  const auto cleared = runtime.files.remove(process.output_path);
  if (!cleared) runtime.log.warn("{}", cleared.error().message);
  const auto spawned = runtime.processes.spawn(process);
  for (const int each : tap_descriptors) runtime.taps.close_descriptor(each);
  if (!spawned) co_return fail(spawned, "start QEMU for " + spec.id);

  // Until it is recorded and answers, this frame owns the process: an error or a cancellation ends it.
  struct Owned {
    sys::Runtime& runtime;
    sys::ProcessId id;
    std::string record;
    bool kept{false};
    ~Owned() {
      if (kept) return;
      runtime.processes.signal(id, SIGKILL);
      (void)runtime.files.remove(record);
    }
  } owned{runtime, *spawned, record_path(spec.directory)};
  const MachineRecord record{spec, spawned->pid, spawned->start_ticks};
  const auto recorded = runtime.files.write_atomic(owned.record, wire::encode(record), 0600);
  if (!recorded) co_return fail(recorded, "record QEMU of " + spec.id);

  auto qmp = co_await connect_when_there(runtime, spec.directory, *spawned);
  if (!qmp) co_return fail(qmp, "start QEMU for " + spec.id);
  auto made = std::make_unique<QemuMachine>(runtime, std::move(spec), *spawned, std::move(*qmp));
  sys::Begun<QemuMachine> machine(runtime.executor, std::move(made), &QemuMachine::detach);
  auto ready = co_await machine->begin();
  const bool post_copy = launch == Launch::incoming_post_copy;
  if (ready && (post_copy || launch == Launch::incoming)) ready = co_await machine->open_incoming(post_copy);
  if (!ready) {
    const auto id = machine->spec().id;
    co_await machine.close();
    co_return fail(ready, "start QEMU for " + id);
  }
  owned.kept = true;
  co_return machine.take();
}

sys::Task<Result<std::unique_ptr<Machine>>> Machine::adopt(sys::Runtime& runtime, std::string directory) {
  const auto text = runtime.files.read(record_path(directory), kRecordLimit);
  if (!text) co_return fail(text, "adopt QEMU");
  auto record = wire::decode<MachineRecord>(*text, kRecordLimit);
  if (!record) co_return fail(record, "adopt QEMU: " + record_path(directory));
  const sys::ProcessId process{record->pid, record->start_ticks};
  if (!runtime.processes.alive(process)) {
    const auto removed = runtime.files.remove(record_path(directory));
    if (!removed) runtime.log.warn("{}", removed.error().message);
    co_return fail(Errc::unavailable, "QEMU of {} has ended: {}", record->spec.id,
                   last_words(runtime.files, directory));
  }
  auto qmp = co_await connect_when_there(runtime, directory, process);
  if (!qmp) co_return fail(qmp, "adopt QEMU of " + record->spec.id);
  const auto id = record->spec.id;
  auto made = std::make_unique<QemuMachine>(runtime, std::move(record->spec), process, std::move(*qmp));
  sys::Begun<QemuMachine> machine(runtime.executor, std::move(made), &QemuMachine::detach);
  const auto ready = co_await machine->begin();
  if (!ready) {
    co_await machine.close();
    co_return fail(ready, "adopt QEMU of " + id);
  }
  // A copy that an earlier agent has begun is nobody's any more.
  const auto ended = co_await machine->end_snapshot();
  if (!ended) runtime.log.warn("adopt QEMU of {}: {}", id, ended.error().message);
  co_return machine.take();
}

sys::Task<Result<>> Machine::end(sys::Runtime& runtime, std::string directory) {
  if (!runtime.files.exists(record_path(directory))) co_return Result<>{};
  const auto text = runtime.files.read(record_path(directory), kRecordLimit);
  if (!text) co_return fail(text, "end QEMU");
  const auto record = wire::decode<MachineRecord>(*text, kRecordLimit);
  if (!record) co_return fail(record, "end QEMU: " + record_path(directory));
  const sys::ProcessId process{record->pid, record->start_ticks};
  runtime.processes.signal(process, SIGKILL);
  co_await runtime.processes.wait_gone(process);
  co_return runtime.files.remove(record_path(directory));
}

QemuMachine::QemuMachine(sys::Runtime& runtime, MachineSpec spec, sys::ProcessId process, std::shared_ptr<Qmp> qmp)
    : runtime_(runtime),
      spec_(std::move(spec)),
      process_(process),
      qmp_(std::move(qmp)),
      log_(runtime.log.named(spec_.id)),
      news_(runtime.executor),
      ended_(runtime.executor),
      gate_(runtime.executor) {}

QemuMachine::~QemuMachine() = default;

void QemuMachine::listen() {
  qmp_->on_event([this](const QmpEvent& event) {
    if (event.name == "BLOCK_IO_ERROR") log_.warn("disk: {}", text_of(event.data, "reason"));
    if (event.name == "STOP" || event.name == "RESUME" || event.name == "SHUTDOWN" || event.name == "MIGRATION" ||
        event.name == "BLOCK_IO_ERROR" || event.name == "GUEST_PANICKED") {
      ++heard_;
      news_.notify();
    }
  });
}

sys::Task<Result<>> QemuMachine::begin() {
  listen();
  const auto known = co_await refresh();
  if (!known) co_return known;
  const auto looked = co_await look_at_base();
  if (!looked) co_return looked;
  gate_.spawn(watch_process());
  gate_.spawn(watch_monitor());
  co_return Result<>{};
}

void QemuMachine::set_state(MachineState state, std::string problem) {
  if (state == state_ && problem == problem_) return;
  state_ = state;
  problem_ = std::move(problem);
  if (changed_) changed_();
}

sys::Task<Result<std::string>> QemuMachine::query_runstate() {
  const auto answer = co_await execute("query-status");
  if (!answer) co_return pass(answer);
  const auto* status = answer->if_object();
  if (!status) co_return fail(Errc::protocol, "query-status: no object");
  auto word = text_of(*status, "status");
  auto now = seen(word);
  if (state_ != MachineState::dead) set_state(now.state, std::move(now.problem));
  co_return word;
}

sys::Task<Result<>> QemuMachine::refresh() {
  const auto known = co_await query_runstate();
  if (!known) co_return pass(known);
  co_return Result<>{};
}

sys::Task<void> QemuMachine::watch_process() {
  co_await runtime_.processes.wait_gone(process_);
  const auto removed = runtime_.files.remove(record_path(spec_.directory));
  if (!removed) log_.warn("{}", removed.error().message);
  set_state(MachineState::dead, "QEMU has ended: " + last_words(runtime_.files, spec_.directory));
  ended_.notify();
}

sys::Task<void> QemuMachine::watch_monitor() {
  while (state_ != MachineState::dead) {
    if (!qmp_->connected()) {
      co_await reconnect();
      continue;
    }
    const auto heard = heard_;
    const auto known = co_await refresh();
    if (!known) {
      log_.debug("{}", known.error().message);
      // Where the connection is lost, that is noticed above; a monitor that hangs has cost its limit.
      if (known.error().code == Errc::unavailable) co_await runtime_.clock.sleep_for(kReconnectPause);
      continue;
    }
    // What came meanwhile may be younger than the answer.
    if (heard == heard_) co_await news_.wait_until(runtime_.clock, runtime_.clock.now() + kMonitorPoll);
  }
}

sys::Task<void> QemuMachine::reconnect() {
  co_await runtime_.clock.sleep_for(kReconnectPause);
  if (!runtime_.processes.alive(process_)) co_return;
  auto qmp = co_await Qmp::connect(runtime_, spec_.directory + "/qmp.sock");
  if (!qmp) {
    set_state(MachineState::hung, "QEMU's monitor can't be reached: " + qmp.error().message);
    co_return;
  }
  const auto before = std::exchange(qmp_, std::shared_ptr<Qmp>(std::move(*qmp)));
  co_await before->close();
  listen();
}

sys::Task<Result<wire::json::value>> QemuMachine::execute(std::string command, wire::json::object arguments,
                                                          Nanos limit) {
  const auto qmp = qmp_;
  auto answer = co_await qmp->execute(std::move(command), std::move(arguments), limit);
  if (!answer && answer.error().code == Errc::timed_out && state_ != MachineState::dead) {
    set_state(MachineState::hung, "QEMU's monitor has not answered for 10 s");
    news_.notify();
  }
  if (!answer && answer.error().code == Errc::closed) {
    co_return fail(Errc::unavailable, "QEMU of {}: {}", spec_.id, answer.error().message);
  }
  co_return std::move(answer);
}

sys::Task<void> QemuMachine::wait_dead() {
  while (state_ != MachineState::dead) co_await ended_.wait();
}

sys::Task<void> QemuMachine::stop(Nanos grace) {
  const auto pressed = co_await execute("system_powerdown");
  if (!pressed) log_.warn("power button: {}", pressed.error().message);
  const auto deadline = runtime_.clock.now() + grace;
  while (pressed && state_ != MachineState::shut_down && state_ != MachineState::dead &&
         runtime_.clock.now() < deadline) {
    co_await news_.wait_until(runtime_.clock, std::min(deadline, runtime_.clock.now() + Nanos{Seconds{1}}));
  }
  co_await kill();
}

sys::Task<void> QemuMachine::kill() {
  runtime_.processes.signal(process_, SIGKILL);
  co_await wait_dead();
}

sys::Task<void> QemuMachine::detach() {
  changed_ = {};
  co_await gate_.close();
  co_await qmp_->close();
}

}  // namespace godwit::hypervisor
