// A disk server, its agent and its QEMU on one simulated host, each of which may end at any time.
#include "image/disk_server.h"

#include "image/piece_desk.h"
#include "sim/host.h"
#include "sim/nbd_client.h"
#include "sim/process.h"
#include "sim/world.h"
#include "support/sparse_pieces.h"
#include "wire/nbd_server.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <random>
#include <set>

namespace godwit::image {
namespace {

using sim::NbdClient;
using testing::content_of;
using testing::SparsePieces;

constexpr std::uint64_t kBytes = 40 * kPiece_bytes + 512;
const std::string kFile = "/disk";
const DiskServerOptions kOptions{kFile, "/base.sock", "/pieces.sock"};

class Agent final : public sim::Program {
 public:
  Agent(sim::Process& process, std::shared_ptr<WatchedPieces> pieces, std::set<std::uint32_t>& wanted)
      : desk_(process.runtime(), {kOptions.desk, 0, 0, kBytes}, std::move(pieces),
              [&wanted](const std::vector<std::uint32_t>& missing, desk::Urgency urgency) {
                if (urgency == desk::Urgency::now) wanted.insert(missing.begin(), missing.end());
              }) {
    EXPECT_TRUE(desk_.start());
  }
  [[nodiscard]] PieceDesk& desk() { return desk_; }

 private:
  PieceDesk desk_;
};

class Server final : public sim::Program {
 public:
  explicit Server(sim::Process& process) : server_(process.runtime(), kOptions), gate_(process.runtime().executor) {
    EXPECT_TRUE(server_.start());
    gate_.spawn(run(process));
  }

 private:
  sys::Task<void> run(sim::Process& process) {
    co_await server_.wait_lonely();
    co_await server_.stop();
    process.kill();
  }
  DiskServer server_;
  sys::Gate gate_;
};

// What QEMU reads, and dials again for when the server has gone.
class Reader final : public sim::Program {
 public:
  explicit Reader(sim::Process& process)
      : runtime_(process.runtime()), changed_(runtime_.executor), gate_(runtime_.executor) {
    gate_.spawn(keep());
  }
  void read(std::uint64_t offset, std::uint32_t length) {
    ++under_way_;
    gate_.spawn(read_until_there(offset, length));
  }
  [[nodiscard]] int under_way() const { return under_way_; }
  [[nodiscard]] int right() const { return right_; }
  [[nodiscard]] int wrong() const { return wrong_; }
  void close() {
    done_ = true;
    if (client_) client_->close();
  }

 private:
  sys::Task<void> keep() {
    while (!done_) {
      auto client = co_await NbdClient::dial(runtime_, kOptions.socket, kDiskExport);
      if (client) {
        client_ = std::move(*client);
        EXPECT_EQ(client_->size_bytes(), kBytes);
        changed_.notify();
        while (client_) co_await changed_.wait();
      }
      co_await runtime_.clock.sleep_for(Millis{20});
    }
  }
  sys::Task<void> read_until_there(std::uint64_t offset, std::uint32_t length) {
    for (;;) {
      while (!client_) co_await changed_.wait();
      const auto with = client_;
      const auto bytes = co_await with->read(offset, length);
      if (!bytes && bytes.error().code == Errc::closed) {
        if (client_ == with) client_.reset();
        changed_.notify();
        if (done_) co_return;
        continue;
      }
      const bool is_right = bytes && *bytes == content_of(offset, length);
      ++(is_right ? right_ : wrong_);
      --under_way_;
      co_return;
    }
  }

  sys::Runtime& runtime_;
  std::shared_ptr<NbdClient> client_;  // shared with reads that wait in it
  bool done_{false};
  int under_way_{0};
  int right_{0};
  int wrong_{0};
  sys::Signal changed_;
  sys::Gate gate_;
};

class Stage {
 public:
  explicit Stage(std::uint64_t seed) : world(seed), host_(world.add_host("a1", "site", "10.0.0.1")) {
    pieces = std::make_shared<WatchedPieces>(std::make_shared<SparsePieces>(host_.page_files(), kFile, kBytes));
    start_reader();
  }
  void start_agent() {
    host_.start("agent", {}, [&](auto& process) { return std::make_unique<Agent>(process, pieces, wanted); });
  }
  void start_server() {
    host_.start("server", {}, [](auto& process) { return std::make_unique<Server>(process); });
  }
  void start_reader() {
    host_.start("qemu", {}, [](auto& process) { return std::make_unique<Reader>(process); });
  }
  [[nodiscard]] bool has(const std::string& name) { return host_.find(name) != nullptr; }
  void kill(const std::string& name) {
    if (auto* process = host_.find(name)) process->kill();
    world.run_for(Millis{1});
  }
  [[nodiscard]] Reader& reader() { return dynamic_cast<Reader&>(host_.find("qemu")->program()); }
  [[nodiscard]] PieceDesk& desk() { return dynamic_cast<Agent&>(host_.find("agent")->program()).desk(); }
  void put(std::uint64_t piece) {
    const auto at = piece * kPiece_bytes;
    auto bytes = content_of(at, std::min<std::uint64_t>(kPiece_bytes, kBytes - at));
    bytes.resize(kPiece_bytes);
    EXPECT_TRUE(pieces->put(piece, bytes));
  }
  bool reads_end(Nanos limit = Seconds{10}) {
    return world.run_until([&] { return reader().under_way() == 0; }, limit);
  }

  sim::World world;
  std::shared_ptr<WatchedPieces> pieces;
  std::set<std::uint32_t> wanted;

 private:
  sim::Host& host_;
};

TEST(DiskServer, AReadOfWhatIsHerePassesOneThatWaits) {
  Stage stage(1);
  stage.put(3);
  stage.start_agent();
  stage.start_server();
  stage.reader().read(5 * kPiece_bytes, 4096);
  stage.reader().read(3 * kPiece_bytes + 512, 4096);
  stage.world.run_for(Seconds{1});
  EXPECT_EQ(stage.reader().right(), 1);
  EXPECT_THAT(stage.wanted, ::testing::ElementsAre(5));
  stage.put(5);
  EXPECT_TRUE(stage.reads_end());
  EXPECT_EQ(stage.reader().right(), 2);
}

TEST(DiskServer, AReadOverManyPiecesIsAnsweredWhenTheLastIsHere) {
  Stage stage(1);
  stage.start_agent();
  stage.start_server();
  stage.reader().read(38 * kPiece_bytes + 100, static_cast<std::uint32_t>(kBytes - 38 * kPiece_bytes - 100));
  stage.world.run_for(Seconds{1});
  EXPECT_THAT(stage.wanted, ::testing::ElementsAre(38, 39, 40));
  stage.put(40);
  stage.put(38);
  stage.world.run_for(Seconds{1});
  EXPECT_EQ(stage.reader().under_way(), 1);
  stage.put(39);
  EXPECT_TRUE(stage.reads_end());
  EXPECT_EQ(stage.reader().right(), 1);
}

TEST(DiskServer, WhileTheAgentIsAwayReadsWaitAndNothingFails) {
  Stage stage(1);
  stage.start_server();
  stage.reader().read(7 * kPiece_bytes, 512);
  stage.world.run_for(Seconds{60});
  EXPECT_EQ(stage.reader().under_way(), 1);
  stage.start_agent();
  stage.world.run_for(Seconds{2});
  EXPECT_THAT(stage.wanted, ::testing::ElementsAre(7));
  stage.kill("agent");
  stage.put(7);  // by whomever: the next agent knows
  stage.world.run_for(Seconds{60});
  EXPECT_EQ(stage.reader().under_way(), 1);
  stage.start_agent();
  EXPECT_TRUE(stage.reads_end());
  EXPECT_EQ(stage.reader().right(), 1);
  // Of what it knows it needs no agent.
  stage.kill("agent");
  stage.reader().read(7 * kPiece_bytes + 512, 512);
  EXPECT_TRUE(stage.reads_end());
}

TEST(DiskServer, TellsInWhichOrderPiecesWereFirstRead) {
  Stage stage(1);
  for (const std::uint64_t piece : {9, 2, 30}) stage.put(piece);
  stage.start_agent();
  stage.start_server();
  for (const std::uint64_t piece : {9, 2, 9, 30, 2}) {
    stage.reader().read(piece * kPiece_bytes, 512);
    EXPECT_TRUE(stage.reads_end());
  }
  stage.world.run_for(Seconds{1});
  EXPECT_THAT(stage.desk().touched(), ::testing::ElementsAre(9, 2, 30));
  stage.kill("agent");
  stage.start_agent();
  stage.world.run_for(Seconds{5});
  EXPECT_THAT(stage.desk().touched(), ::testing::ElementsAre(9, 2, 30));
}

TEST(DiskServer, EndsWithItsQemu) {
  Stage stage(1);
  stage.start_agent();
  stage.start_server();
  stage.world.run_for(10 * kDiskLonely);
  EXPECT_TRUE(stage.has("server"));
  stage.kill("qemu");
  stage.world.run_for(kDiskLonely - Seconds{1});
  EXPECT_TRUE(stage.has("server"));
  stage.world.run_for(Seconds{2});
  EXPECT_FALSE(stage.has("server"));
}

// Every read is answered, and rightly, whatever ends meanwhile.
class Accidents {
 public:
  explicit Accidents(std::uint64_t seed) : stage_(seed) {
    for (std::uint64_t piece = 0; piece < stage_.pieces->count(); ++piece) missing_.push_back(piece);
  }
  void happen() {
    const auto what = draw(10);
    if (what < 5 && stage_.reader().under_way() < 16) {
      const auto offset = draw(kBytes);
      const auto most = std::min<std::uint64_t>(kBytes - offset, draw(8) == 0 ? wire::kNbdRead_bytes : 10'000);
      stage_.reader().read(offset, static_cast<std::uint32_t>(1 + draw(most)));
    } else if (what < 7) {
      if (!missing_.empty()) arrive(draw(missing_.size()));
    } else if (what == 7) {
      bring_wanted();
    } else {
      const std::string name = what == 8 ? "agent" : "server";
      if (draw(3) == 0) stage_.kill(name);
      start_all(name);
    }
    stage_.world.run_for(Millis{draw(300)});
  }
  void calm_down() {
    start_all("agent");
    start_all("server");
    // What is wanted comes, and nothing else does.
    for (int i = 0; i < 100 && stage_.reader().under_way() > 0; ++i) {
      bring_wanted();
      stage_.world.run_for(Millis{500});
    }
    EXPECT_EQ(stage_.reader().under_way(), 0);
    EXPECT_EQ(stage_.reader().wrong(), 0);
  }
  [[nodiscard]] int right() { return stage_.reader().right(); }

 private:
  std::uint64_t draw(std::uint64_t limit) { return stage_.world.draw_below(limit); }
  void start_all(const std::string& name) {
    if (stage_.has(name)) return;
    if (name == "agent") stage_.start_agent();
    if (name == "server") stage_.start_server();
  }
  void arrive(std::size_t index) {
    stage_.put(missing_[index]);
    missing_.erase(missing_.begin() + static_cast<std::ptrdiff_t>(index));
  }
  void bring_wanted() {
    for (const auto piece : std::exchange(stage_.wanted, {})) {
      const auto found = std::ranges::find(missing_, piece);
      if (found != missing_.end()) arrive(static_cast<std::size_t>(found - missing_.begin()));
    }
  }

  Stage stage_;
  std::vector<std::uint64_t> missing_;
};

TEST(DiskServer, EveryReadIsAnsweredWhateverEndsMeanwhile) {
  int right = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Accidents accidents(seed);
    for (int i = 0; i < 120; ++i) accidents.happen();
    accidents.calm_down();
    right += accidents.right();
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(right, 2000);
}

}  // namespace
}  // namespace godwit::image
