// hypervisor::Machine against the real QEMU, on the tiny guest: needs root and .cache/images/tiny (GODWIT_TINY).
#include "hypervisor/machine.h"

#include "image/store.h"
#include "os/clock.h"
#include "os/files.h"
#include "os/local_sockets.h"
#include "os/log.h"
#include "os/processes.h"
#include "os/taps.h"
#include "support/event_loop.h"
#include "support/temp_directory.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace godwit {
namespace {

using hypervisor::Launch;
using hypervisor::Machine;
using hypervisor::MachineState;

constexpr unsigned kUid = 65'534;

class NoPeers final : public sys::PeerNetwork {
 public:
  void trust(std::vector<sys::TrustedCa>) override {}
  sys::Task<Result<std::unique_ptr<sys::PeerStream>>> dial(sys::PeerAddress) override {
    co_return fail(Errc::unsupported, "no peers here");
  }
  Result<std::unique_ptr<sys::PeerListener>> listen(const std::string&, std::uint16_t) override {
    return fail(Errc::unsupported, "no peers here");
  }
};

class NoHttp final : public sys::Http {
 public:
  void trust(std::vector<sys::TrustedCa>) override {}
  Result<std::unique_ptr<sys::HttpServer>> serve(const sys::HttpListen&, sys::HttpHandler) override {
    return fail(Errc::unsupported, "no HTTP here");
  }
  sys::Task<Result<sys::HttpResponse>> call(sys::HttpEndpoint, sys::HttpRequest, Nanos) override {
    co_return fail(Errc::unsupported, "no HTTP here");
  }
  sys::Task<Result<sys::HttpResponse>> watch(sys::HttpEndpoint, sys::HttpRequest, Nanos,
                                             std::function<void(std::string)>) override {
    co_return fail(Errc::unsupported, "no HTTP here");
  }
};

// Both ways between a client that dials `listener` and the server at `to`, until either ends.
sys::Task<void> copy(sys::Stream* from, sys::Stream* to) {
  ByteVector buffer(256 * 1024);
  for (;;) {
    const auto count = co_await from->read_some(buffer);
    if (!count) break;
    const auto written = co_await to->write(ByteView(buffer).first(*count));
    if (!written) break;
  }
  (void)co_await to->shutdown_write();
}

class MachineTest : public ::testing::Test {
 public:
  MachineTest() {
    const char* directory = std::getenv("GODWIT_TINY");
    tiny_ = directory ? directory : "";
  }
  void SetUp() override {
    ASSERT_FALSE(tiny_.empty()) << "GODWIT_TINY names the directory that images/build-tiny has filled";
    const auto text = files_.read(tiny_ + "/manifest.json", 65536);
    ASSERT_TRUE(text) << text.error().message;
    const auto manifest = wire::decode<image::Manifest>(*text);
    ASSERT_TRUE(manifest) << manifest.error().message;
    auto image = image::Store(runtime_).open(tiny_, manifest->sha256);
    ASSERT_TRUE(image) << image.error().message;
    image_ = *image;
    std::filesystem::permissions(directory_.path(), std::filesystem::perms(0711));
  }

  hypervisor::MachineSpec make(const std::string& name) {
    hypervisor::MachineSpec spec;
    spec.id = "i-0123456789abcdef0";
    spec.directory = directory_.path() + "/" + name;
    spec.uid = kUid;
    spec.memory_mib = 96;
    spec.machine_type = "pc-q35-7.2";
    spec.cpu_model = "Nehalem";
    spec.accelerator = "tcg";
    spec.disk_path = spec.directory + "/disk.qcow2";
    spec.kernel_path = image_.kernel_path;
    spec.initrd_path = image_.initrd_path;
    spec.cmdline = image_.manifest.cmdline;
    spec.serial = hypervisor::serial_of(spec.id);
    EXPECT_TRUE(files_.make_directories(spec.directory, 0700, kUid));
    EXPECT_TRUE(image::Store(runtime_).create_overlay(image_, spec.disk_path, 1ULL << 30U, kUid));
    return spec;
  }

  sys::Task<bool> says(hypervisor::MachineSpec spec, std::string word) {
    for (int i = 0; i < 600; ++i) {
      const auto console = files_.read(spec.directory + "/console.log", 1 << 20);
      if (console && console->find(word) != std::string::npos) co_return true;
      co_await clock_.sleep_for(Millis{50});
    }
    co_return false;
  }

  // Joins the source's client of `path` with what QEMU listens on at `to`.
  sys::Task<void> join(std::shared_ptr<sys::Listener> listener, std::string to) {
    auto client = co_await listener->accept();
    GODWIT_CO_ASSERT_OK(client);
    auto server = co_await local_.dial(to);
    GODWIT_CO_ASSERT_OK(server);
    using namespace boost::asio::experimental::awaitable_operators;
    auto both = copy(client->get(), server->get()) && copy(server->get(), client->get());
    co_await std::move(both);
  }

  testing::EventLoop loop_;
  testing::TempDirectory directory_;
  os::SystemClock clock_;
  os::SystemRandom random_;
  os::SystemFiles files_;
  os::SystemProcesses processes_{loop_.executor()};
  os::SystemLocalSockets local_{loop_.executor()};
  NoPeers peers_;
  NoHttp http_;
  os::SystemTaps taps_;
  os::StderrLog sink_{LogLevel::debug};
  sys::Runtime runtime_{loop_.executor(), clock_, random_, files_, processes_,
                        local_,           peers_, http_,   taps_,  Log(sink_, "test")};
  std::string tiny_;
  image::Image image_;
};

TEST_F(MachineTest, MovesWithItsDiskAndEndsPausedAtTheSourceUntilItIsResumed) {
  loop_.run([](MachineTest* t) -> sys::Task<void> {
    const hypervisor::QemuProgram qemu;
    const auto spec = t->make("source");
    auto source = co_await Machine::launch(t->runtime_, qemu, spec, Launch::cold, -1);
    GODWIT_CO_ASSERT_OK(source);
    const bool ready = co_await t->says(spec, "godwit-tiny ready");
    GODWIT_CO_ASSERT(ready);
    const auto target = t->make("destination");
    auto destination = co_await Machine::launch(t->runtime_, qemu, target, Launch::incoming, -1);
    GODWIT_CO_ASSERT_OK(destination);
    EXPECT_EQ((*destination)->state(), MachineState::incoming);

    sys::Gate gate(t->loop_.executor());
    auto disk = t->local_.listen(hypervisor::nbd_socket_of(spec.directory), 0600, kUid);
    auto memory = t->local_.listen(hypervisor::memory_socket_of(spec.directory), 0600, kUid);
    GODWIT_CO_ASSERT_OK(disk);
    GODWIT_CO_ASSERT_OK(memory);
    gate.spawn(t->join(std::move(*disk), hypervisor::nbd_socket_of(target.directory)));
    gate.spawn(t->join(std::move(*memory), hypervisor::memory_socket_of(target.directory)));

    const auto mirrored = co_await (*source)->start_disk(hypervisor::nbd_socket_of(spec.directory), 0);
    GODWIT_CO_ASSERT_OK(mirrored);
    const auto caught_up = co_await (*source)->wait_disk_ready();
    GODWIT_CO_ASSERT_OK(caught_up);
    const hypervisor::MemoryOptions options;
    const auto sending = co_await (*source)->start_memory(hypervisor::memory_socket_of(spec.directory), options);
    GODWIT_CO_ASSERT_OK(sending);
    const auto paused = co_await (*source)->wait_paused();
    GODWIT_CO_ASSERT_OK(paused);
    const auto ended = co_await (*source)->end_disk();
    GODWIT_CO_ASSERT_OK(ended);
    const auto sent = co_await (*source)->continue_switchover();
    GODWIT_CO_ASSERT_OK(sent);
    const auto loaded = co_await (*destination)->wait_loaded();
    GODWIT_CO_ASSERT_OK(loaded);
    const auto finished = co_await (*destination)->finish_disk();
    GODWIT_CO_ASSERT_OK(finished);
    EXPECT_EQ((*source)->state(), MachineState::paused);
    EXPECT_EQ((*destination)->state(), MachineState::paused);

    const auto started = co_await (*destination)->start();
    GODWIT_CO_ASSERT_OK(started);
    EXPECT_EQ((*destination)->state(), MachineState::running);
    co_await (*destination)->kill();
    EXPECT_EQ((*destination)->state(), MachineState::dead);
    // What the destination never took, the source takes back.
    const auto resumed = co_await (*source)->resume();
    GODWIT_CO_ASSERT_OK(resumed);
    EXPECT_EQ((*source)->state(), MachineState::running);

    co_await (*source)->detach();
    source->reset();
    auto adopted = co_await Machine::adopt(t->runtime_, spec.directory);
    GODWIT_CO_ASSERT_OK(adopted);
    EXPECT_EQ((*adopted)->state(), MachineState::running);
    co_await (*adopted)->kill();
    co_await (*adopted)->detach();
    co_await (*destination)->detach();
    co_await gate.close();
  }(this));
}

TEST_F(MachineTest, TellsWhatThisHostsQemuCanDo) {
  loop_.run([](MachineTest* t) -> sys::Task<void> {
    const hypervisor::QemuProgram qemu;
    const auto cache = t->directory_.path() + "/capabilities.json";
    const auto found =
        co_await hypervisor::probe_capabilities(t->runtime_, qemu, t->directory_.path() + "/probe", kUid, cache);
    GODWIT_CO_ASSERT_OK(found);
    EXPECT_TRUE(found->accelerator == "tcg" || found->accelerator == "kvm");
    EXPECT_FALSE(found->machine_types.empty());
    EXPECT_TRUE(found->post_copy || !found->post_copy_problem.empty());
    std::printf("%s\n", wire::encode(*found).substr(0, 600).c_str());
    EXPECT_TRUE(t->files_.exists(cache));
  }(this));
}

}  // namespace
}  // namespace godwit
