// hypervisor::Machine on the simulated QEMU, in virtual time: the suite that the real one passes too.
#include "base/assert.h"
#include "conformance/machine_suite.h"
#include "conformance/post_copy_suite.h"
#include "sim/qemu.h"

namespace godwit::sim {
namespace {

class Bare final : public Program {};

class SimRig {
 public:
  static constexpr bool patient = true;

  SimRig() {
    world_.keep_trace(true, LogLevel::debug);
    install_qemu(host_, guests_, QemuSettings());
    agent_ = &host_.start("agent", {"a1.cloud-a.godwit", "cloud-a"}, [](Process&) { return std::make_unique<Bare>(); });
  }
  ~SimRig() {
    if (!::testing::Test::HasFailure()) return;
    for (const auto& line : world_.trace()) std::printf("%s\n", line.c_str());
  }

  void run(sys::Task<void> task) {
    bool ended = false;
    auto whole = [](sys::Task<void> each, bool& over) -> sys::Task<void> {
      co_await std::move(each);
      over = true;
    };
    agent_->spawn(whole(std::move(task), ended));
    EXPECT_TRUE(world_.run_until([&] { return ended; }, Seconds{3600})) << "the task did not end";
  }

  sys::Runtime& runtime() { return agent_->runtime(); }

  hypervisor::MachineSpec make(const std::string& name) {
    hypervisor::MachineSpec spec;
    spec.id = "i-0123456789abcdef0";
    spec.directory = "/instances/" + name;
    spec.machine_type = "pc-q35-7.2";
    spec.cpu_model = "Nehalem";
    spec.accelerator = "tcg";
    spec.disk_path = spec.directory + "/disk.qcow2";
    spec.serial = hypervisor::serial_of(spec.id);
    EXPECT_TRUE(host_.files().make_directories(spec.directory, 0700, 0));
    EXPECT_TRUE(host_.files().write_atomic(spec.disk_path, "QFI\xfb an overlay", 0600));
    return spec;
  }

  sys::Task<Result<std::unique_ptr<hypervisor::Machine>>> source() {
    const auto spec = make("source");
    const hypervisor::QemuProgram qemu;
    auto machine = co_await hypervisor::Machine::launch(runtime(), qemu, spec, hypervisor::Launch::cold, -1);
    co_await runtime().clock.sleep_for(Millis{200});  // it has written something
    co_return std::move(machine);
  }

  void hang(const hypervisor::Machine& machine) {
    auto* process = process_of(machine);
    GODWIT_ASSERT(process);
    dynamic_cast<Qemu&>(process->program()).hang();
  }
  void kill(const hypervisor::Machine& machine) {
    if (auto* process = process_of(machine)) process->kill();
  }

  void allow_post_copy(bool allowed) {
    QemuSettings settings;
    settings.post_copy = allowed;
    install_qemu(host_, guests_, settings);
  }

  std::string problem() { return guests_.problem(); }

 private:
  Process* process_of(const hypervisor::Machine& machine) {
    const auto record = host_.files().read(machine.spec().directory + ".json", 65'536);
    const auto fields = record ? wire::parse_json(*record) : Result<wire::json::value>(wire::json::value());
    if (!fields || !fields->is_object()) return nullptr;
    const auto& object = fields->get_object();
    return host_.find(sys::ProcessId{object.at("pid").to_number<std::int32_t>(),
                                     object.at("start_ticks").to_number<std::uint64_t>()});
  }

  Guests guests_;
  World world_{7};
  Host& host_{world_.add_host("a1", "cloud-a", "10.1.0.11")};
  Process* agent_{nullptr};
};

}  // namespace
}  // namespace godwit::sim

namespace godwit::testing {
INSTANTIATE_TYPED_TEST_SUITE_P(Simulated, MachineSuite, sim::SimRig);
INSTANTIATE_TYPED_TEST_SUITE_P(Simulated, PostCopySuite, sim::SimRig);
}  // namespace godwit::testing
