// A real QEMU whose disk's pieces come while its guest reads and writes: needs root and .cache/images/tiny
// (GODWIT_TINY).
#include "base/assert.h"
#include "crypto/digest.h"
#include "hypervisor/qemu_machine.h"
#include "image/disk_server.h"
#include "image/piece_desk.h"
#include "image/qcow2.h"
#include "os/clock.h"
#include "os/files.h"
#include "os/local_sockets.h"
#include "os/log.h"
#include "os/page_files.h"
#include "os/processes.h"
#include "os/taps.h"
#include "support/event_loop.h"
#include "support/sparse_pieces.h"
#include "support/temp_directory.h"

#include <gmock/gmock.h>

#include "qemu/nobody_else.h"
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>

namespace godwit::testing {
namespace {

using hypervisor::Launch;
using hypervisor::Machine;
using image::kPiece_bytes;

constexpr unsigned kUid = 65'534;
constexpr std::uint64_t kPieces = 256;
constexpr std::uint64_t kBytes = kPieces * kPiece_bytes;
// Reads the pieces of its disk, each once and never the next one, says what is in them, and writes elsewhere.
constexpr const char* kGuest =
    "console=ttyS0 quiet rdinit=/bin/sh -- -c \"export PATH=/bin:/sbin; mount -t devtmpfs d /dev; for m in /modules/*; "
    "do "
    "insmod $m; done; i=0; while true; do s=$(dd if=/dev/vda bs=64k skip=$i count=1 iflag=direct 2>/dev/null | "
    "sha256sum); "
    "echo SUM $i $s; dd if=/dev/zero of=/dev/vda bs=4k seek=$((8192+i)) count=1 oflag=direct 2>/dev/null; "
    "i=$(((i*5+3)%256)); done\"";

class Stage {
 public:
  Stage() {
    std::filesystem::permissions(directory_.path(), std::filesystem::perms(0711));
    EXPECT_TRUE(files_.make_directories(at(""), 0700, kUid));
    pieces_ = std::make_shared<image::WatchedPieces>(std::make_shared<SparsePieces>(page_files_, file(), kBytes));
    std::filesystem::permissions(file(), std::filesystem::perms(0644));
    const auto overlay = image::make_overlay(64UL << 20U, file(), "raw");
    GODWIT_ASSERT(overlay.has_value());
    EXPECT_TRUE(files_.write_atomic(at("disk.qcow2"), *overlay, 0600));
    EXPECT_TRUE(files_.change_owner(at("disk.qcow2"), kUid));
  }
  // Whatever is left of QEMU.
  ~Stage() { run(end(*this)); }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  void run(sys::Task<void> task) { loop_.run(std::move(task), Seconds{150}); }
  sys::Runtime& runtime() { return runtime_; }

  [[nodiscard]] hypervisor::MachineSpec spec() const {
    const char* tiny = std::getenv("GODWIT_TINY");
    GODWIT_ASSERT(tiny);  // names the directory that images/build-tiny has filled
    hypervisor::MachineSpec spec;
    spec.id = "i-0123456789abcdef0";
    spec.directory = at("");
    spec.uid = kUid;
    spec.memory_mib = 96;
    spec.machine_type = "pc-q35-7.2";
    spec.cpu_model = "Nehalem";
    spec.accelerator = "tcg";
    spec.disk_path = at("disk.qcow2");
    spec.base_path = file();
    spec.base_format = "raw";
    spec.base_socket = at("base.sock");
    spec.kernel_path = std::string(tiny) + "/vmlinuz";
    spec.initrd_path = std::string(tiny) + "/tiny.initrd";
    spec.cmdline = kGuest;
    spec.serial = hypervisor::serial_of(spec.id);
    return spec;
  }

  // ---- the agent's part
  void start_desk() {
    desk_ = std::make_unique<image::PieceDesk>(
        runtime_, image::PieceDeskOptions{at("pieces.sock"), kUid, 0, kBytes}, pieces_,
        [this](std::vector<std::uint32_t> missing, image::desk::Urgency) { gate_->spawn(bring(std::move(missing))); });
    gate_ = std::make_unique<sys::Gate>(runtime_.executor);
    EXPECT_TRUE(desk_->start());
  }
  sys::Task<void> stop_desk() {
    co_await desk_->stop();
    co_await gate_->close();
    desk_.reset();
  }
  void put(std::uint64_t piece) {
    if (pieces_->has(piece)) return;
    EXPECT_TRUE(pieces_->put(piece, content_of(piece * kPiece_bytes, kPiece_bytes)));
  }
  [[nodiscard]] std::size_t here() const {
    std::size_t count = 0;
    for (std::uint64_t piece = 0; piece < kPieces; ++piece) count += pieces_->has(piece) ? 1 : 0;
    return count;
  }

  // ---- the server's
  void start_server() {
    server_ = std::make_unique<image::DiskServer>(runtime_,
                                                  image::DiskServerOptions{file(), at("base.sock"), at("pieces.sock")});
    EXPECT_TRUE(server_->start());
    EXPECT_TRUE(files_.change_owner(at("base.sock"), kUid));  // as whom a host runs the server
  }
  sys::Task<void> stop_server() {
    co_await server_->stop();
    server_.reset();
  }

  // ---- what the guest says
  // Pieces that it has read whole and right since it began, in its order; all that it says of pieces is right.
  [[nodiscard]] std::size_t read() {
    const auto console = files_.read(at("console.log"), 16UL << 20U);
    std::size_t right = 0;
    if (!console) return right;
    std::istringstream lines(*console);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string word;
      std::uint64_t piece = 0;
      std::string sum;
      if (!(words >> word >> piece >> sum) || word != "SUM" || sum.size() != 64) continue;
      const bool is_right = sum == digest_of(piece);
      EXPECT_TRUE(is_right) << line;
      right += is_right ? 1 : 0;
    }
    return right;
  }
  // So many more than now.
  sys::Task<bool> reads_on(std::size_t more, Nanos limit = Seconds{60}) {
    const auto from = read();
    const auto deadline = clock_.now() + limit;
    while (clock_.now() < deadline) {
      co_await clock_.sleep_for(Millis{100});
      if (read() >= from + more) co_return true;
    }
    co_return false;
  }

 private:
  [[nodiscard]] std::string at(const std::string& name) const {
    return directory_.path() + "/i" + (name.empty() ? "" : "/" + name);
  }
  [[nodiscard]] std::string file() const { return directory_.path() + "/base.raw"; }
  sys::Task<void> bring(std::vector<std::uint32_t> missing) {
    co_await clock_.sleep_for(Millis{20});
    for (const auto piece : missing) put(piece);
  }
  [[nodiscard]] std::string digest_of(std::uint64_t piece);
  static sys::Task<void> end(Stage& stage) {
    const auto ended = co_await Machine::end(stage.runtime_, stage.at(""));
    EXPECT_TRUE(ended);
    if (stage.server_) co_await stage.stop_server();
    if (stage.desk_) co_await stage.stop_desk();
  }

  TempDirectory directory_;
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
  std::map<std::uint64_t, std::string> sums_;
  std::shared_ptr<image::WatchedPieces> pieces_;
  std::unique_ptr<image::PieceDesk> desk_;
  std::unique_ptr<sys::Gate> gate_;
  std::unique_ptr<image::DiskServer> server_;
};

std::string Stage::digest_of(std::uint64_t piece) {
  auto& sum = sums_[piece];
  if (sum.empty()) sum = to_hex(crypto::sha256(content_of(piece * kPiece_bytes, kPiece_bytes)));
  return sum;
}

sys::Task<void> moves_onto_its_file(Stage& stage) {
  auto& runtime = stage.runtime();
  const hypervisor::QemuProgram qemu;
  stage.put(0);  // QEMU reads it before its monitor answers
  stage.start_desk();
  stage.start_server();
  auto launched = co_await Machine::launch(runtime, qemu, stage.spec(), Launch::cold);
  GODWIT_CO_ASSERT_OK(launched);
  auto machine = std::move(*launched);
  EXPECT_FALSE(machine->has_local_base());
  const bool begins = co_await stage.reads_on(20);
  EXPECT_TRUE(begins);
  EXPECT_LT(stage.here(), kPieces / 2);

  // The agent goes: the guest waits for what is missing, and for nothing else.
  co_await stage.stop_desk();
  co_await machine->detach();
  machine.reset();
  co_await runtime.clock.sleep_for(Seconds{3});
  const bool reads_without_its_agent = co_await stage.reads_on(1, Seconds{3});
  EXPECT_FALSE(reads_without_its_agent);
  stage.start_desk();
  auto adopted = co_await Machine::adopt(runtime, stage.spec().directory);
  GODWIT_CO_ASSERT_OK(adopted);
  machine = std::move(*adopted);
  EXPECT_FALSE(machine->has_local_base());
  const bool goes_on = co_await stage.reads_on(5);
  EXPECT_TRUE(goes_on);

  // The server goes, and another comes.
  co_await stage.stop_server();
  co_await runtime.clock.sleep_for(Seconds{2});
  stage.start_server();
  const bool goes_on_by_another_server = co_await stage.reads_on(5);
  EXPECT_TRUE(goes_on_by_another_server);

  // It stays here as long as its image is on its way.
  const auto moved = co_await machine->start_disk(stage.spec().directory + "/nbd.sock", 0);
  EXPECT_EQ(moved ? Errc{} : moved.error().code, Errc::conflict);

  for (std::uint64_t piece = 0; piece < kPieces; ++piece) stage.put(piece);
  const auto pivoted = co_await machine->use_local_base();
  GODWIT_CO_ASSERT_OK(pivoted);
  EXPECT_TRUE(machine->has_local_base());
  co_await stage.stop_server();
  co_await stage.stop_desk();
  const bool goes_on_by_itself = co_await stage.reads_on(20);
  EXPECT_TRUE(goes_on_by_itself);
  EXPECT_EQ(machine->state(), hypervisor::MachineState::running);

  co_await machine->detach();
  machine.reset();
  adopted = co_await Machine::adopt(runtime, stage.spec().directory);
  GODWIT_CO_ASSERT_OK(adopted);
  EXPECT_TRUE((*adopted)->has_local_base());
  const auto again = co_await (*adopted)->use_local_base();
  EXPECT_TRUE(again);
  co_await (*adopted)->kill();
  co_await (*adopted)->detach();
}

TEST(ServedBase, AGuestReadsWhatIsTrueWhileItsImageComesAndMovesOntoItsFile) {
  Stage stage;
  stage.run(moves_onto_its_file(stage));
}

}  // namespace
}  // namespace godwit::testing
