// A simulated host with a repository of images, which loses its power and starts again.
#pragma once

#include "image/repository.h"
#include "sim/host.h"
#include "sim/world.h"
#include "support/event_loop.h"
#include "support/sample_image.h"

#include <gtest/gtest.h>

namespace godwit::testing {

inline constexpr const char* kImages = "/var/lib/godwit/images";

class ImageHost {
 public:
  explicit ImageHost(std::uint64_t seed = 1, image::RepositoryLimits limits = {.keep_free_bytes = 0})
      : world_(seed), random_(seed), limits_(limits) {
    host_.page_files().remember_unsynced();
    host_.page_files().use(fuse_);
    host_.files().use(fuse_);
    boot();
  }

  // The answer of start(), of a new process.
  Result<> boot() {
    host_.start("agent", {"a1.cloud-a.godwit", "cloud-a"},
                [this](sim::Process& process) { return std::make_unique<Program>(process, limits_); });
    return images().start();
  }
  // No lease may be left. What was not synced may be lost.
  void lose_power() {
    host_.power_off();
    host_.page_files().lose_power(random_);
    *fuse_ = {};
  }
  // As kill -9 and a new process.
  void restart() {
    host_.find("agent")->kill();
    world_.run_for(Millis{1});
    EXPECT_TRUE(boot());
  }

  [[nodiscard]] image::Repository& images() { return program().images; }
  [[nodiscard]] sys::Runtime& runtime() { return host_.find("agent")->runtime(); }
  [[nodiscard]] sim::PageFiles& page_files() { return host_.page_files(); }
  [[nodiscard]] sim::Files& files() { return host_.files(); }
  [[nodiscard]] sim::Host& host() { return host_; }
  [[nodiscard]] sim::World& world() { return world_; }
  [[nodiscard]] sim::Fuse& fuse() { return *fuse_; }

  // Until `task` has ended, which it must within a minute of virtual time.
  void run(sys::Task<void> task) {
    bool ended = false;
    host_.find("agent")->spawn(whole(std::move(task), ended));
    ASSERT_TRUE(world_.run_until([&] { return ended; }, Seconds{60}));
  }
  // What is here is on disk.
  Result<> settle(const image::Lease& image) {
    Result<> outcome;
    run(settle_into(images(), image, outcome));
    return outcome;
  }
  void run_for(Nanos span) { world_.run_for(span); }

  // Begins it where it is not here, and puts what is missing, until all is here or something fails.
  Result<> receive(const SampleImage& image) {
    const auto lease = images().begin(image.text, {}, "a transfer");
    if (!lease) return pass(lease);
    return receive(**lease, image);
  }
  static Result<> receive(image::Pieces& pieces, const SampleImage& image) {
    if (auto listed = pieces.set_list(image.list); !listed) return listed;
    for (std::uint64_t piece = 0; piece < pieces.count(); ++piece) {
      if (auto put = pieces.put(piece, image.pieces[piece]); !put) return put;
    }
    return {};
  }
  // A file as QEMU reads it.
  [[nodiscard]] ByteVector read_file(const std::string& path) {
    const auto file = page_files().open(path);
    if (!file) return {};
    ByteVector bytes((*file)->size());
    EXPECT_TRUE((*file)->read_at(0, bytes));
    return bytes;
  }

 private:
  struct Program final : sim::Program {
    Program(sim::Process& process, image::RepositoryLimits limits) : images(process.runtime(), kImages, limits) {}
    image::Repository images;
  };
  [[nodiscard]] Program& program() { return dynamic_cast<Program&>(host_.find("agent")->program()); }

  static sys::Task<void> whole(sys::Task<void> task, bool& ended) {
    co_await std::move(task);
    ended = true;
  }
  static sys::Task<void> settle_into(image::Repository& images, image::Lease image, Result<>& outcome) {
    outcome = co_await images.settle(std::move(image));
  }

  sim::World world_;
  std::mt19937_64 random_;
  image::RepositoryLimits limits_;
  std::shared_ptr<sim::Fuse> fuse_{std::make_shared<sim::Fuse>()};
  sim::Host& host_{world_.add_host("a1", "a", "10.1.0.2")};
};

// Every piece that is said to be here, and every file of a whole image, is as it was made.
inline void expect_true_to(ImageHost& host, const SampleImage& image) {
  const auto lease = host.images().open(image.id, "the test");
  ASSERT_TRUE(lease) << lease.error().message;
  auto& stored = **lease;
  if (!stored.has_list()) return;
  ByteVector piece(image::kPiece_bytes);
  for (std::uint64_t i = 0; i < stored.count(); ++i) {
    if (!stored.has(i)) continue;
    const auto read = stored.read(i, piece);
    ASSERT_TRUE(read) << "piece " << i << ": " << read.error().message;
    ASSERT_EQ(piece, image.pieces[i]) << i;
  }
  if (!stored.complete()) return;
  for (const auto& file : image.files) {
    ASSERT_EQ(host.read_file(stored.path(file.role)), file.bytes) << to_string(file.role);
  }
}

}  // namespace godwit::testing
