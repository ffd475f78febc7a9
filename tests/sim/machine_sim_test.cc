// hypervisor::Machine on the simulated QEMU, in virtual time: the suite that the real one passes too.
#include "base/assert.h"
#include "conformance/machine_suite.h"
#include "conformance/post_copy_suite.h"
#include "conformance/queue_pairs_suite.h"
#include "conformance/snapshot_suite.h"
#include "sim/qemu.h"
#include "support/nbd_zeros.h"
#include "sys/lines.h"

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
    auto machine = co_await hypervisor::Machine::launch(runtime(), qemu, spec, hypervisor::Launch::cold);
    co_await runtime().clock.sleep_for(Millis{200});  // it has written something
    co_return std::move(machine);
  }

  sys::Task<Result<std::unique_ptr<hypervisor::Machine>>> boot(hypervisor::MachineSpec spec, std::vector<int> taps) {
    const hypervisor::QemuProgram qemu;
    co_return co_await hypervisor::Machine::launch(runtime(), qemu, std::move(spec), hypervisor::Launch::cold,
                                                   std::move(taps));
  }
  std::size_t queues_in_use(const hypervisor::Machine& machine, const std::string& /*tap*/) {
    auto* process = process_of(machine);
    return process ? dynamic_cast<Qemu&>(process->program()).queue_pairs() : 0;
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
    be(settings);
  }
  // Those that are started from now on.
  void be(const QemuSettings& settings) { install_qemu(host_, guests_, settings); }

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

using hypervisor::Launch;
using hypervisor::Machine;
// A machine whose disk's base is served at a socket.
hypervisor::MachineSpec served(SimRig& rig) {
  auto spec = rig.make("served");
  spec.base_path = "/images/base";
  spec.base_format = "raw";
  spec.base_socket = spec.directory + "/base.sock";
  return spec;
}

sys::Task<void> moves_onto_its_file(SimRig* rig) {
  const auto spec = served(*rig);
  const hypervisor::QemuProgram qemu;
  auto launched = co_await Machine::launch(rig->runtime(), qemu, spec, Launch::cold);
  EXPECT_FALSE(launched) << "nobody serves there";
  const testing::NbdZeros server(rig->runtime(), spec.base_socket);
  launched = co_await Machine::launch(rig->runtime(), qemu, spec, Launch::cold);
  GODWIT_CO_ASSERT_OK(launched);
  EXPECT_FALSE((*launched)->has_local_base());
  const auto mirrored = co_await (*launched)->start_disk(spec.directory + "/nbd.sock", 0);
  EXPECT_EQ(mirrored ? Errc{} : mirrored.error().code, Errc::conflict);
  co_await (*launched)->detach();

  auto adopted = co_await Machine::adopt(rig->runtime(), spec.directory);
  GODWIT_CO_ASSERT_OK(adopted);
  EXPECT_FALSE((*adopted)->has_local_base());
  const auto moved = co_await (*adopted)->use_local_base();
  GODWIT_CO_ASSERT_OK(moved);
  EXPECT_TRUE((*adopted)->has_local_base());
  co_await (*adopted)->detach();

  adopted = co_await Machine::adopt(rig->runtime(), spec.directory);
  GODWIT_CO_ASSERT_OK(adopted);
  EXPECT_TRUE((*adopted)->has_local_base());
  co_await (*adopted)->kill();
  co_await (*adopted)->detach();
}

TEST(ServedBase, MovesOntoItsFileAndTheNextAgentSeesIt) {
  SimRig rig;
  rig.run(moves_onto_its_file(&rig));
}

// Another agent has said `commands` to it, and has gone.
sys::Task<void> said_before(SimRig* rig, std::string directory,
                            std::vector<std::pair<std::string, wire::json::object>> commands) {
  const auto qmp = co_await hypervisor::Qmp::connect(rig->runtime(), directory + "/qmp.sock");
  GODWIT_CO_ASSERT_OK(qmp);
  for (const auto& [name, arguments] : commands) {
    const auto said = co_await (*qmp)->execute(name, arguments);
    GODWIT_CO_ASSERT_OK(said);
  }
  co_await (*qmp)->close();
}

sys::Task<void> goes_on_where_another_has_begun(SimRig* rig, std::size_t steps) {
  const auto spec = served(*rig);
  const hypervisor::QemuProgram qemu;
  const testing::NbdZeros server(rig->runtime(), spec.base_socket);
  auto machine = co_await Machine::launch(rig->runtime(), qemu, spec, Launch::cold);
  GODWIT_CO_ASSERT_OK(machine);
  co_await (*machine)->detach();
  wire::json::array now;
  now.emplace_back(hypervisor::disk_node(spec, true));
  wire::json::object reopen{{"options", std::move(now)}};
  std::vector<std::pair<std::string, wire::json::object>> commands;
  commands.emplace_back("blockdev-add", hypervisor::local_base_node(spec));
  commands.emplace_back("blockdev-reopen", std::move(reopen));
  commands.resize(steps);
  co_await said_before(rig, spec.directory, std::move(commands));

  machine = co_await Machine::adopt(rig->runtime(), spec.directory);
  GODWIT_CO_ASSERT_OK(machine);
  EXPECT_EQ((*machine)->has_local_base(), steps == 2);
  const auto moved = co_await (*machine)->use_local_base();
  GODWIT_CO_ASSERT_OK(moved);
  EXPECT_TRUE((*machine)->has_local_base());
  co_await (*machine)->kill();
  co_await (*machine)->detach();
}

TEST(ServedBase, GoesOnWhereAnotherAgentHasBegun) {
  for (const std::size_t steps : {1UL, 2UL}) {
    SimRig rig;
    rig.run(goes_on_where_another_has_begun(&rig, steps));
  }
}

sys::Task<void> waits_for_a_migration(SimRig* rig) {
  const auto spec = served(*rig);
  const hypervisor::QemuProgram qemu;
  const testing::NbdZeros server(rig->runtime(), spec.base_socket);
  const auto machine = co_await Machine::launch(rig->runtime(), qemu, spec, Launch::incoming);
  GODWIT_CO_ASSERT_OK(machine);
  const auto moved = co_await (*machine)->use_local_base();
  EXPECT_EQ(moved ? Errc{} : moved.error().code, Errc::conflict);
  EXPECT_FALSE((*machine)->has_local_base());
  co_await (*machine)->kill();
  co_await (*machine)->detach();
}

TEST(ServedBase, StaysWhereItIsWhileItWaitsForAMigration) {
  SimRig rig;
  rig.run(waits_for_a_migration(&rig));
}

// ---- who doesn't wait for the end

// A reader and two watchers run in what was begun: an agent that ends, or a migration whose patience ends, leaves none
// of them behind. (Where one were, AddressSanitizer would say so.)
sys::Task<void> gives_up(SimRig* rig, Nanos patience, bool adopts, bool hangs) {
  const auto spec = rig->make("given-up");
  const hypervisor::QemuProgram qemu;
  auto& runtime = rig->runtime();
  if (adopts) {
    const auto before = co_await Machine::launch(runtime, qemu, spec, Launch::cold);
    GODWIT_CO_ASSERT_OK(before);
    if (hangs) rig->hang(**before);
    co_await (*before)->detach();
  }
  auto beginning = adopts ? Machine::adopt(runtime, spec.directory)
                          : Machine::launch(runtime, qemu, spec, Launch::incoming_post_copy);
  auto begun = co_await sys::within(runtime.clock, patience, "begin", std::move(beginning));
  if (begun) {
    co_await (*begun)->kill();
    co_await (*begun)->detach();
  } else {
    EXPECT_EQ(begun.error().code, Errc::timed_out) << begun.error().message;
  }
  co_await runtime.clock.sleep_for(Seconds{30});
  // Nothing holds its monitor, and what was not adopted runs no more.
  const auto next = co_await Machine::adopt(runtime, spec.directory);
  EXPECT_EQ(next.has_value(), adopts && !begun && !hangs);
  if (!next) co_return;
  co_await (*next)->kill();
  co_await (*next)->detach();
}

TEST(MachineThatIsGivenUp, EndsByItself) {
  for (const bool adopts : {false, true}) {
    for (const auto patience : {Millis{0}, Millis{5}, Millis{20}, Millis{50}, Millis{100}, Millis{200}, Millis{400}}) {
      SCOPED_TRACE(::testing::Message() << (adopts ? "adopted" : "launched") << ", " << patience.count() << " ms");
      SimRig rig;
      rig.run(gives_up(&rig, patience, adopts, false));
    }
  }
}

TEST(MachineThatIsGivenUp, EndsByItselfWhileItsMonitorHangs) {
  SimRig rig;
  rig.run(gives_up(&rig, Seconds{2}, true, true));
}

// ---- a QEMU that its guest has taken over

constexpr int kLoudEvents = 6;

// Greets, takes the first command, and then says events of 1 MiB each.
sys::Task<void> says_loud_events(SimRig* rig, sys::Listener* listener) {
  const auto stream = co_await listener->accept();
  GODWIT_CO_ASSERT_OK(stream);
  sys::LineReader commands(**stream, 4096);
  const std::string greeting = "{\"QMP\":{}}\r\n";
  const auto greeted = co_await (*stream)->write(as_bytes(greeting));
  EXPECT_TRUE(greeted);
  const auto command = co_await commands.next();
  EXPECT_TRUE(command);
  std::string said = "{\"return\":{},\"id\":1}\r\n";
  const std::string much(1UL << 20U, 'x');
  for (int i = 0; i < kLoudEvents; ++i) {
    said += fmt::format(R"({{"event":"E{}","data":{{"x":"{}"}}}})", i, much) + "\r\n";
  }
  const auto written = co_await (*stream)->write(as_bytes(said));
  EXPECT_TRUE(written);
  co_await rig->runtime().clock.sleep_for(Seconds{60});
}

sys::Task<void> keeps_the_last_of_them(SimRig* rig) {
  auto& runtime = rig->runtime();
  auto listener = runtime.local.listen("/loud.sock", 0600, 0);
  GODWIT_CO_ASSERT_OK(listener);
  sys::Gate gate(runtime.executor);
  gate.spawn(says_loud_events(rig, listener->get()));
  const auto qmp = co_await hypervisor::Qmp::connect(runtime, "/loud.sock");
  GODWIT_CO_ASSERT_OK(qmp);
  const std::function<bool(const hypervisor::QmpEvent&)> last = [](const auto& event) {
    return event.name == fmt::format("E{}", kLoudEvents - 1);
  };
  const auto came = co_await (*qmp)->wait_event(1, last, Seconds{10});
  GODWIT_CO_ASSERT_OK(came);
  const std::function<bool(const hypervisor::QmpEvent&)> any = [](const auto&) { return true; };
  const auto first = co_await (*qmp)->wait_event(1, any, Seconds{1});
  GODWIT_CO_ASSERT_OK(first);
  EXPECT_EQ(first->name, "E3") << "of 4 MiB there are three, as a line has more than its data";
  co_await (*qmp)->close();
  co_await gate.close();
}

TEST(Monitor, OfLoudEventsTheLastFewAreKept) {
  SimRig rig;
  rig.run(keeps_the_last_of_them(&rig));
}

// QEMU counts what it gives to our end of the socket, before most of that becomes references: its own limit of
// 128 MiB/s, or that of any link, would hold back what hardly crosses.
sys::Task<void> gives_its_memory(SimRig* rig, std::uint64_t max_bytes_per_s, Nanos* took) {
  auto source = co_await rig->source();
  GODWIT_CO_ASSERT_OK(source);
  testing::Attempt<SimRig> attempt(*rig, **source);
  const auto begun = co_await attempt.begin();
  GODWIT_CO_ASSERT_OK(begun);
  const auto socket = hypervisor::memory_socket_of((*source)->spec().directory);
  const auto before = rig->runtime().clock.now();
  const hypervisor::MemoryOptions options{100, max_bytes_per_s, false, false};
  const auto started = co_await (*source)->start_memory(socket, options);
  GODWIT_CO_ASSERT_OK(started);
  const auto paused = co_await (*source)->wait_paused();
  GODWIT_CO_ASSERT_OK(paused);
  *took = rig->runtime().clock.now() - before;
  co_await attempt.abandon();
  const auto resumed = co_await (*source)->resume();
  GODWIT_CO_ASSERT_OK(resumed);
  co_await (*source)->kill();
  co_await (*source)->detach();
}

TEST(MemoryRate, GivesItsMemoryAsFastAsQemuReadsItUnlessALimitIsAskedFor) {
  QemuSettings settings;
  settings.memory_bytes = 64UL << 20U;
  settings.copy_bytes_per_s = 12'500'000'000;  // 100 Gbit/s
  settings.dirty_bytes_per_s = 0;
  const Nanos alone(static_cast<std::int64_t>(settings.memory_bytes * 1'000'000'000 / settings.copy_bytes_per_s));
  Nanos took{};
  for (const std::uint64_t limit : {0UL, 16UL << 20U}) {
    SimRig rig;
    rig.be(settings);
    rig.run(gives_its_memory(&rig, limit, &took));
    if (limit == 0) {
      EXPECT_LT(took, 2 * alone) << to_s(took) << " s";
    } else {
      EXPECT_GE(took, Seconds{4}) << to_s(took) << " s";
      EXPECT_LT(took, Seconds{5}) << to_s(took) << " s";
    }
  }
}

}  // namespace
}  // namespace godwit::sim

namespace godwit::testing {
INSTANTIATE_TYPED_TEST_SUITE_P(Simulated, MachineSuite, sim::SimRig);
INSTANTIATE_TYPED_TEST_SUITE_P(Simulated, PostCopySuite, sim::SimRig);
INSTANTIATE_TYPED_TEST_SUITE_P(Simulated, SnapshotSuite, sim::SimRig);
INSTANTIATE_TYPED_TEST_SUITE_P(Simulated, QueuePairsSuite, sim::SimRig);
}  // namespace godwit::testing
