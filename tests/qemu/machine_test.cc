// hypervisor::Machine against the real QEMU, on the tiny guest: needs root and .cache/images/tiny (GODWIT_TINY).
#include "base/assert.h"
#include "conformance/machine_suite.h"
#include "conformance/post_copy_suite.h"
#include "conformance/queue_pairs_suite.h"
#include "conformance/snapshot_suite.h"
#include "hypervisor/qemu_machine.h"
#include "image/store.h"
#include "os/clock.h"
#include "os/files.h"
#include "os/local_sockets.h"
#include "os/log.h"
#include "os/page_files.h"
#include "os/processes.h"
#include "os/taps.h"
#include "support/temp_directory.h"

#include <gtest/gtest.h>

#include "qemu/nobody_else.h"
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

namespace godwit::testing {
namespace {

using hypervisor::Launch;
using hypervisor::Machine;

constexpr unsigned kUid = 65'534;

// One rig a test; the source lives on from test to test, as a boot costs seconds under emulation.
class RealRig {
 public:
  static constexpr bool patient = false;

  RealRig() {
    const char* directory = std::getenv("GODWIT_TINY");
    GODWIT_ASSERT(directory);  // names the directory that images/build-tiny has filled
    const std::string tiny = directory;
    const auto text = files_.read(tiny + "/manifest.json", 65536);
    GODWIT_ASSERT(text.has_value());
    const auto manifest = wire::decode<image::Recipe>(*text);
    GODWIT_ASSERT(manifest.has_value());
    auto image = image::Store(runtime_).open(tiny, manifest->sha256);
    GODWIT_ASSERT(image.has_value());
    image_ = *image;
  }

  void run(sys::Task<void> task) { loop_.run(std::move(task), Seconds{60}); }
  sys::Runtime& runtime() { return runtime_; }

  hypervisor::MachineSpec make(const std::string& name) {
    hypervisor::MachineSpec spec;
    spec.id = "i-0123456789abcdef0";
    spec.directory = shared().path() + "/" + name + "-" + std::to_string(++shared().made);
    spec.uid = kUid;
    spec.memory_mib = 96;
    spec.machine_type = "pc-q35-7.2";
    spec.cpu_model = "Nehalem";
    spec.accelerator = "tcg";
    spec.disk_path = spec.directory + "/disk.qcow2";
    spec.base_path = image_.disk_path;
    spec.base_format = image_.recipe.format;
    spec.kernel_path = image_.kernel_path;
    spec.initrd_path = image_.initrd_path;
    spec.cmdline = image_.recipe.cmdline;
    spec.serial = hypervisor::serial_of(spec.id);
    EXPECT_TRUE(files_.make_directories(spec.directory, 0700, kUid));
    EXPECT_TRUE(image::Store(runtime_).create_overlay(image_, spec.disk_path, 1ULL << 30U, kUid));
    return spec;
  }

  sys::Task<Result<std::unique_ptr<Machine>>> source() {
    if (!shared().source.empty()) {
      auto adopted = co_await Machine::adopt(runtime_, shared().source);
      if (adopted) co_return std::move(adopted);
    }
    const auto spec = make("source");
    const auto filled = co_await runtime_.processes.run(fill(spec.disk_path), Seconds{20});
    if (!filled) co_return pass(filled);
    const hypervisor::QemuProgram qemu;
    auto launched = co_await Machine::launch(runtime_, qemu, spec, Launch::cold);
    if (!launched) co_return pass(launched);
    shared().source = spec.directory;
    const auto ready = co_await says(spec, "godwit-tiny ready");
    if (!ready) co_return pass(ready);
    co_return std::move(launched);
  }

  sys::Task<Result<std::unique_ptr<Machine>>> boot(hypervisor::MachineSpec spec, std::vector<int> taps) {
    const hypervisor::QemuProgram qemu;
    auto launched = co_await Machine::launch(runtime_, qemu, spec, Launch::cold, std::move(taps));
    if (!launched) co_return pass(launched);
    const auto ready = co_await says(spec, "godwit-tiny ready");
    if (!ready) co_return pass(ready);
    co_return std::move(launched);
  }
  // QEMU lets go of those that its guest has not enabled.
  static std::size_t queues_in_use(const Machine& /*machine*/, const std::string& tap) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/sys/class/net/" + tap + "/queues")) {
      if (entry.path().filename().string().starts_with("tx-")) ++count;
    }
    return count;
  }

  void hang(const Machine& machine) { signal(machine, SIGSTOP); }
  void kill(const Machine& machine) { signal(machine, SIGKILL); }
  // Of the whole machine, as there is no other: put back when this rig ends.
  void allow_post_copy(bool allowed) { userfaultfd_.emplace(allowed); }
  // Nobody sees everything of real guests.
  static std::string problem() { return ""; }

 private:
  class Userfaultfd {
   public:
    explicit Userfaultfd(bool allowed) {
      std::ifstream(kPath) >> before_;
      std::ofstream(kPath) << (allowed ? 1 : 0);
    }
    ~Userfaultfd() { std::ofstream(kPath) << before_; }
    Userfaultfd(const Userfaultfd&) = delete;
    Userfaultfd& operator=(const Userfaultfd&) = delete;

   private:
    static constexpr const char* kPath = "/proc/sys/vm/unprivileged_userfaultfd";
    int before_{0};
  };

  // Of all tests; ends what they leave behind.
  struct Shared {
    TempDirectory directory;
    std::string source;
    int made{0};
    Shared() { std::filesystem::permissions(directory.path(), std::filesystem::perms(0711)); }
    [[nodiscard]] std::string path() const { return directory.path(); }
    ~Shared() {
      os::SystemFiles files;
      for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
        if (entry.path().extension() != ".json") continue;
        const auto text = files.read(entry.path(), 65'536);
        const auto record = text ? wire::decode<hypervisor::MachineRecord>(*text) : pass(text);
        if (record) ::kill(record->pid, SIGKILL);
      }
    }
  };
  static Shared& shared() {
    static Shared all;
    return all;
  }

  // Something for the mirror to copy.
  static sys::ProcessSpec fill(const std::string& disk) {
    sys::ProcessSpec spec;
    spec.argv = {"/usr/bin/qemu-io", "-f", "qcow2", "-c", "write -P 7 32M 4M", disk};
    return spec;
  }

  sys::Task<Result<>> says(hypervisor::MachineSpec spec, std::string word) {
    for (int i = 0; i < 600; ++i) {
      const auto console = files_.read(spec.directory + "/console.log", 1 << 20);
      if (console && console->find(word) != std::string::npos) co_return Result<>{};
      co_await clock_.sleep_for(Millis{50});
    }
    co_return fail(Errc::timed_out, "the guest has not said {}", word);
  }

  void signal(const Machine& machine, int number) {
    const auto text = files_.read(machine.spec().directory + ".json", 65'536);
    const auto record = text ? wire::decode<hypervisor::MachineRecord>(*text) : pass(text);
    GODWIT_ASSERT(record.has_value());
    processes_.signal(sys::ProcessId{record->pid, record->start_ticks}, number);
  }

  EventLoop loop_;
  os::SystemClock clock_;
  os::SystemRandom random_;
  os::SystemFiles files_;
  os::SystemPageFiles page_files_;
  os::SystemProcesses processes_{loop_.executor()};
  os::SystemLocalSockets local_{loop_.executor()};
  NoPeers peers_;
  NoHttp http_;
  os::SystemTaps taps_;
  os::StderrLog sink_{std::getenv("GODWIT_TEST_DEBUG") ? LogLevel::debug : LogLevel::info};
  sys::Runtime runtime_{loop_.executor(), clock_, random_, files_, page_files_,       processes_,
                        local_,           peers_, http_,   taps_,  Log(sink_, "test")};
  image::Image image_;
  std::optional<Userfaultfd> userfaultfd_;
};

TEST(Capabilities, TellWhatThisHostsQemuCanDo) {
  RealRig rig;
  const TempDirectory directory;
  std::filesystem::permissions(directory.path(), std::filesystem::perms(0711));
  auto story = [](RealRig* r, std::string scratch) -> sys::Task<void> {
    const hypervisor::QemuProgram qemu;
    const auto cache = scratch + "/capabilities.json";
    const auto found = co_await hypervisor::probe_capabilities(r->runtime(), qemu, scratch + "/probe", kUid, cache);
    GODWIT_CO_ASSERT_OK(found);
    EXPECT_TRUE(found->accelerator == "tcg" || found->accelerator == "kvm");
    EXPECT_FALSE(found->machine_types.empty());
    EXPECT_TRUE(found->post_copy || !found->post_copy_problem.empty());
    EXPECT_TRUE(r->runtime().files.exists(cache));
  };
  rig.run(story(&rig, directory.path()));
}

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Real, MachineSuite, RealRig);
INSTANTIATE_TYPED_TEST_SUITE_P(Real, PostCopySuite, RealRig);
INSTANTIATE_TYPED_TEST_SUITE_P(Real, SnapshotSuite, RealRig);
INSTANTIATE_TYPED_TEST_SUITE_P(Real, QueuePairsSuite, RealRig);

}  // namespace godwit::testing
