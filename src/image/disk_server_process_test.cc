#include "image/disk_server_process.h"

#include "sim/host.h"
#include "sim/process.h"
#include "sim/world.h"
#include "support/event_loop.h"
#include "support/sparse_pieces.h"

#include <algorithm>
#include <csignal>

namespace godwit::image {
namespace {

const std::string kDirectory = "/instances/i-1";

class Server final : public sim::Program {
 public:
  Server(sim::Process& process, DiskServerOptions options) : server_(process.runtime(), std::move(options)) {
    EXPECT_TRUE(server_.start());
  }

 private:
  DiskServer server_;
};
class Bare final : public sim::Program {};

class DiskServerProcess : public ::testing::Test {
 public:
  DiskServerProcess() {
    host_.register_program("godwit", [this](sim::Process& process, const sys::ProcessSpec& spec) {
      ++started;
      const auto after = [&](const std::string& word) { return *std::next(std::ranges::find(spec.argv, word)); };
      EXPECT_EQ(spec.argv[1], "disk-server");
      EXPECT_EQ(spec.uid, 70'001U);
      DiskServerOptions options{after("--file"), after("--socket"), after("--desk")};
      return std::make_unique<Server>(process, std::move(options));
    });
    EXPECT_TRUE(host_.files().make_directories(kDirectory, 0700, 0));
    agent_ = &host_.start("agent", {}, [](sim::Process&) { return std::make_unique<Bare>(); });
  }
  void run(sys::Task<void> task) {
    bool ended = false;
    auto whole = [](sys::Task<void> each, bool& over) -> sys::Task<void> {
      co_await std::move(each);
      over = true;
    };
    agent_->spawn(whole(std::move(task), ended));
    EXPECT_TRUE(world_.run_until([&] { return ended; }, Seconds{60})) << "the task did not end";
  }
  void make_file() { const testing::SparsePieces pieces(host_.page_files(), "/disk", kPiece_bytes); }
  sys::Task<Result<sys::ProcessId>> ensure() {
    const DiskServerProgram program{"/usr/bin/godwit"};
    return ensure_disk_server(agent_->runtime(), program, kDirectory, "/disk", 70'001);
  }
  sys::Runtime& runtime() { return agent_->runtime(); }
  sim::Host& host() { return host_; }

  int started{0};

 private:
  sim::World world_{1};
  sim::Host& host_{world_.add_host("a1", "site", "10.0.0.1")};
  sim::Process* agent_;
};

TEST_F(DiskServerProcess, IsStartedOnceAndAgainWhenItHasEnded) {
  make_file();
  auto story = [](DiskServerProcess* t) -> sys::Task<void> {
    for (int i = 0; i < 2; ++i) {
      const auto served = co_await t->ensure();
      GODWIT_CO_ASSERT_OK(served);
    }
    EXPECT_EQ(t->started, 1);
    t->host().find("godwit")->kill();
    co_await t->runtime().clock.sleep_for(Millis{1});  // until it is buried
    const auto served = co_await t->ensure();
    GODWIT_CO_ASSERT_OK(served);
    EXPECT_EQ(t->started, 2);
    const auto ended = co_await end_disk_server(t->runtime(), kDirectory);
    GODWIT_CO_ASSERT_OK(ended);
    EXPECT_EQ(t->host().find("godwit"), nullptr);
    const auto again = co_await end_disk_server(t->runtime(), kDirectory);
    EXPECT_TRUE(again);
  };
  run(story(this));
}

}  // namespace
}  // namespace godwit::image
