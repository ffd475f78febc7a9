// Migrations one after the other and side by side between two hosts that lose pages, images, memory and connections, as
// chance has it. Each ends with QEMU's bytes at the other side, or with a failure that both sides see, and there what
// came is the begin of what was sent.
#include "migrate/shrink_encoding.h"
#include "migrate/shrink_frames.h"
#include "sim/host.h"
#include "sim/page_files.h"
#include "support/crossings.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <list>

namespace godwit::migrate {
namespace {

using testing::Crossing;
using testing::disk_stream;
using testing::noise;
using testing::page_of;

constexpr std::uint64_t kImageBlocks = 300;

// Of pages that the guests' disks are made of, too; every `odd`th block is another at this host (0: none), or can't be
// read.
class ImageBlocks final : public content::Blocks {
 public:
  ImageBlocks(std::uint64_t base, std::uint64_t odd, bool broken) : base_(base), odd_(odd), broken_(broken) {}
  std::uint64_t count() const override { return kImageBlocks; }
  bool is_hole(std::uint64_t) const override { return false; }
  Result<> read(std::uint64_t block, ByteSpan into) const override {
    for (; !into.empty(); ++block, into = into.subspan(kPage_bytes)) {
      if (block >= kImageBlocks) return fail(Errc::invalid_argument, "read: there is no block {}", block);
      const bool is_odd = odd_ != 0 && block % odd_ == 0;
      if (is_odd && broken_) return fail(Errc::io, "read: block {}", block);
      const auto page = page_of(base_ + block * 2 + (is_odd ? 1 : 0));
      std::copy(page.begin(), page.end(), into.begin());
    }
    return {};
  }

 private:
  std::uint64_t base_;
  std::uint64_t odd_;
  bool broken_;
};

// The destination's cloud: hosts that hold some of the pages, and answer when they like.
class SomeSiblings final : public content::Siblings {
 public:
  SomeSiblings(sys::Clock& clock, content::Store& store, std::uint64_t base, std::uint64_t seed)
      : clock_(clock), store_(store), random_(seed) {
    const content::PageKey key(secret_);
    for (std::uint64_t i = 0; i < 200; i += 2) pages_[key.digest(page_of(base + i))] = page_of(base + i);
  }
  std::optional<std::array<std::byte, 32>> key_of(const std::string&) const override { return secret_; }
  bool may_know(const std::string&) const override { return true; }
  sys::Task<std::vector<content::PageId>> bring(std::string tenant, std::vector<content::PageDigest> digests) override {
    const auto until = clock_.now() + Millis(static_cast<std::int64_t>(random_() % 200));
    co_await clock_.sleep_until(until);
    std::vector<content::PageId> found(digests.size());
    for (std::size_t at = 0; at < digests.size(); ++at) {
      const auto page = pages_.find(digests[at]);
      if (page == pages_.end() || random_() % 10 == 0) continue;
      const auto kept = store_.append(store_.domain(tenant), page->second, content::fingerprint_of(page->second));
      if (kept) found[at] = *kept;
    }
    co_return found;
  }
  sys::Task<std::vector<content::PageId>> bring_alike(std::string tenant,
                                                      std::vector<content::Sketch> sketches) override {
    const auto until = clock_.now() + Millis(static_cast<std::int64_t>(random_() % 200));
    co_await clock_.sleep_until(until);
    std::vector<content::PageId> found(sketches.size());
    for (std::size_t at = 0; at < sketches.size(); ++at) {
      const auto domain = store_.domain(tenant);
      found[at] = store_.find_alike(domain, sketches[at], 0);
      if (found[at] != 0 || random_() % 4 == 0) continue;
      const auto page = std::ranges::find_if(
          pages_, [&](const auto& each) { return content::are_alike(content::sketch_of(each.second), sketches[at]); });
      if (page == pages_.end()) continue;
      const auto kept = store_.append(domain, page->second, content::fingerprint_of(page->second));
      if (kept) found[at] = *kept;
    }
    co_return found;
  }

 private:
  sys::Clock& clock_;
  content::Store& store_;
  std::mt19937_64 random_;
  std::array<std::byte, 32> secret_{std::byte{7}};
  std::map<content::PageDigest, ByteVector> pages_;
};

enum class Fate : std::uint8_t {
  none,
  small_store_there,  // evicts in the middle
  small_store_here,
  full_disks,
  other_image_there,
  broken_image_there,
  no_image_there,
  unreadable_store_there,  // from some time on
  forgetful_destination,   // restarts between migrations, and has lost its disk
  forgetful_source,
  restarted_destination,  // takes up what is on its disk, and has compared some of it
  restarted_source,
  restarted_both,
  restarted_in_the_past,  // its disk is that of an earlier day: the other side knows what it doesn't
  torn_disks,             // what lay on the disk has become something else meanwhile
  stranger,               // another source of the same name takes the rapport over while migrations go on
  siblings,
  bit_flips,  // the channel alters what it carries
  cuts,
  little_memory,
  count,
};

// Five connections find room, and hardly more.
constexpr MemoryLimits kLittle{.connections_bytes = 25 * kMiB, .places_bytes = 10'000, .rapports_bytes = 3'000};
constexpr std::size_t kLittleForImages_bytes = 1'000;

// A host's agent, as far as content goes.
struct HostContent {
  struct Has {
    std::uint64_t disk_pages{100'000};
    std::uint64_t image_odd{0};
    bool image_broken{false};
    bool image{true};
    MemoryLimits memory{};
    std::size_t images_bytes{content::kImageIndexes_bytes};
    std::shared_ptr<sim::PageFiles> disk{std::make_shared<sim::PageFiles>()};  // of an agent that was there before
    content::Store::Begin begin{content::Store::Begin::empty};
  };
  // A host's own files.
  static sys::Runtime with_disk(sys::Runtime runtime, sim::PageFiles& disk) {
    return {runtime.executor, runtime.clock, runtime.random, runtime.files, disk,       runtime.processes,
            runtime.local,    runtime.peers, runtime.http,   runtime.taps,  runtime.log};
  }
  HostContent(sys::Runtime& on, std::uint64_t base, const std::string& peer, Has has)
      : disk(has.disk),
        files(*disk),
        runtime(with_disk(on, files)),
        store(files, "/store", {.disk_bytes = has.disk_pages * kPage_bytes, .index_bytes = 16ULL << 20U}, has.begin),
        library(
            [base, has](const std::string&) -> Result<std::unique_ptr<content::Blocks>> {
              if (!has.image) return fail(Errc::not_found, "no image");
              return std::make_unique<ImageBlocks>(base, has.image_odd, has.image_broken);
            },
            has.images_bytes),
        siblings(runtime.clock, store, base, base),
        memory(std::make_shared<HostMemory>(has.memory)),
        encoding(runtime, store, library, nullptr, "shrink", std::nullopt, memory),
        asking(runtime, store, library, &siblings, "shrink", std::nullopt, memory) {
    spec = {.tenant = "alice", .image_sha256 = "image", .peer = peer, .flushes_cross = true};
  }
  std::shared_ptr<sim::PageFiles> disk;
  sim::PageFiles& files;
  sys::Runtime runtime;
  content::Store store;
  content::Library library;
  SomeSiblings siblings;
  std::shared_ptr<HostMemory> memory;
  ShrinkEncoding encoding;
  ShrinkEncoding asking;  // with siblings
  TransferSpec spec;
};

void use_little(HostContent::Has& has) {
  has.memory = kLittle;
  has.images_bytes = kLittleForImages_bytes;
}

class Idle final : public sim::Program {};

class World {
 public:
  World(std::uint64_t seed, Fate fate) : random_(seed), base_(seed * 10'000), fate_(fate), world_(seed) {
    HostContent::Has has;
    if (keeps()) has.begin = content::Store::Begin::kept;
    if (fate == Fate::small_store_here) has.disk_pages = 256;
    if (fate == Fate::little_memory) use_little(has);
    here_ = make_host("there", has);
    there_ = make_there();
  }

  void live_through() {
    for (int i = 0; i < 3 && !::testing::Test::HasFatalFailure(); ++i) {
      SCOPED_TRACE(i);
      if (i > 0 && fate_ == Fate::forgetful_destination) there_ = make_there();
      if (i > 0 && fate_ == Fate::forgetful_source) here_ = make_host("there", {});
      if (i > 0) restart_some();
      migrate_once(i == 2);
    }
  }
  [[nodiscard]] int failed() const { return failed_; }

 private:
  struct Migration {
    std::unique_ptr<Transfer> leaving;
    std::unique_ptr<Transfer> arriving;
  };

  std::unique_ptr<HostContent> make_host(const std::string& peer, HostContent::Has has) {
    return std::make_unique<HostContent>(runtime_, base_, peer, has);
  }
  [[nodiscard]] bool keeps() const { return fate_ >= Fate::restarted_destination && fate_ <= Fate::torn_disks; }
  void restart_some() {
    if (!keeps()) return;
    const bool in_the_past = fate_ == Fate::restarted_in_the_past;
    if (in_the_past && !past_) {
      past_ = there_->disk->copy();
      return;
    }
    if (fate_ != Fate::restarted_source) restart(there_, "here");
    if (fate_ != Fate::restarted_destination && !in_the_past) restart(here_, "there");
  }
  // As an agent that is started again: with what it finds on its disk.
  void restart(std::unique_ptr<HostContent>& host, const std::string& peer) {
    HostContent::Has has;
    has.begin = content::Store::Begin::kept;
    has.disk = past_ ? past_ : host->disk;
    host.reset();
    if (fate_ == Fate::torn_disks) has.disk->tear(random_);
    host = make_host(peer, has);
    for (auto left = random_() % 8; left > 0 && host->store.verify(64); --left) {
    }
  }
  std::unique_ptr<HostContent> make_there() {
    HostContent::Has has;
    if (keeps()) has.begin = content::Store::Begin::kept;
    if (fate_ == Fate::small_store_there) has.disk_pages = 256;
    if (fate_ == Fate::other_image_there || fate_ == Fate::broken_image_there) has.image_odd = 2 + random_() % 30;
    has.image_broken = fate_ == Fate::broken_image_there;
    has.image = fate_ != Fate::no_image_there;
    if (fate_ == Fate::little_memory) use_little(has);
    return make_host("here", has);
  }

  void migrate_once(bool back) {
    auto& from = back ? *there_ : *here_;
    auto& to = back ? *here_ : *there_;
    add_migration(from, to);
    std::unique_ptr<HostContent> stranger;
    if (fate_ == Fate::stranger && !back) {
      stranger = make_host("there", {});
      add_migration(*stranger, *there_);
    }
    if (fate_ == Fate::full_disks) to.files.fill_disk(random_() % 2 == 0);
    if (fate_ == Fate::unreadable_store_there) process_.spawn(break_reads(there_->files));
    const auto ended = [&] { return std::ranges::all_of(came_, &testing::Crossed::ended); };
    ASSERT_TRUE(world_.run_until(ended, Seconds{120})) << "some wait forever";
    auto sent = sent_.begin();
    for (const auto& came : came_) check(*sent++, came);
    came_.clear();
    sent_.clear();
    migrations_.clear();
    for (const auto* each : {here_.get(), there_.get()}) {
      EXPECT_EQ(each->memory->connections.free_bytes(), each->memory->limits.connections_bytes);
    }
    there_->files.fail_reads(false);
  }

  void add_migration(HostContent& from, HostContent& to) {
    const bool asks = fate_ == Fate::siblings || (fate_ == Fate::little_memory && random_() % 2 == 0);
    const bool seeks = asks && random_() % 3 != 0;
    auto leaving = from.spec;
    leaving.frames_version = seeks || random_() % 2 == 0 ? kFramesVersion : std::uint8_t{1};
    Migration migration{(seeks ? from.asking : from.encoding).leave(leaving),
                        (asks ? to.asking : to.encoding).arrive(to.spec)};
    for (auto connections = 1 + random_() % 5; connections > 0; --connections) {
      const bool disk = random_() % 5 != 0;
      Crossing crossing;
      crossing.channel = disk ? Channel::disk : Channel::memory;
      crossing.seed = random_();
      crossing.forth = disk ? disk_stream(crossing.seed, random_() % 60, base_) : noise(base_, random_() % 900'000);
      crossing.back = noise(crossing.seed % 100, random_() % 40'000);
      crossing.wan_forth.late = crossing.wan_back.late = &runtime_.clock;
      const auto somewhere = random_() % (crossing.forth.size() / 2 + 2000);
      if (fate_ == Fate::bit_flips && random_() % 2 == 0) crossing.wan_forth.flips_at = somewhere;
      if (fate_ == Fate::cuts && random_() % 4 == 0) crossing.wan_forth.cuts_at = somewhere;
      if (fate_ == Fate::cuts && random_() % 8 == 0) crossing.wan_back.cuts_at = somewhere / 20;
      sent_.push_back(crossing);
      came_.emplace_back();
      process_.spawn(
          testing::cross(runtime_.executor, *migration.leaving, *migration.arriving, crossing, came_.back()));
    }
    migrations_.push_back(std::move(migration));
  }

  sys::Task<void> break_reads(sim::PageFiles& files) {
    const auto until = runtime_.clock.now() + Millis(static_cast<std::int64_t>(random_() % 500));
    co_await runtime_.clock.sleep_until(until);
    files.fail_reads(true);
  }

  void check(const Crossing& sent, const testing::Crossed& came) {
    const bool may_fail = fate_ == Fate::bit_flips || fate_ == Fate::cuts;
    const bool whole = came.left && came.arrived && came.all_in_order;
    EXPECT_TRUE(
        std::equal(came.forth.begin(), came.forth.end(), sent.forth.begin(),
                   sent.forth.begin() + static_cast<std::ptrdiff_t>(std::min(came.forth.size(), sent.forth.size()))));
    EXPECT_TRUE(
        std::equal(came.back.begin(), came.back.end(), sent.back.begin(),
                   sent.back.begin() + static_cast<std::ptrdiff_t>(std::min(came.back.size(), sent.back.size()))));
    if (whole) {
      EXPECT_EQ(came.forth.size(), sent.forth.size());
      EXPECT_EQ(came.back.size(), sent.back.size());
    } else {
      ++failed_;
      EXPECT_TRUE(may_fail) << (came.left ? "" : came.left.error().message) << " / "
                            << (came.arrived ? "" : came.arrived.error().message);
      // What failed is known at both ends.
      EXPECT_FALSE(came.left && came.arrived);
    }
  }

  std::mt19937_64 random_;
  std::uint64_t base_;
  Fate fate_;
  sim::World world_;
  sim::Process& process_{world_.add_host("a1", "site-a", "10.1.0.1").start("agent", {}, [](sim::Process&) {
    return std::make_unique<Idle>();
  })};
  sys::Runtime& runtime_{process_.runtime()};
  std::unique_ptr<HostContent> here_;
  std::unique_ptr<HostContent> there_;
  std::shared_ptr<sim::PageFiles> past_;
  std::vector<Migration> migrations_;
  std::vector<Crossing> sent_;
  std::list<testing::Crossed> came_;
  int failed_{0};
};

std::uint64_t seeds() {
  // For a night, GODWIT_SEEDS=5000.
  const char* wanted = std::getenv("GODWIT_SEEDS");
  return wanted == nullptr ? 6 : std::strtoull(wanted, nullptr, 10);
}

class ShrinkFaults : public ::testing::TestWithParam<int> {};

TEST_P(ShrinkFaults, BytesComeAsTheyWereOrBothEndsFail) {
  int failed = 0;
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    World world(seed, static_cast<Fate>(GetParam()));
    world.live_through();
    failed += world.failed();
    ASSERT_FALSE(HasFailure());
  }
  RecordProperty("failed", failed);
}

std::string name_of(const ::testing::TestParamInfo<int>& info) {
  constexpr std::array<std::string_view, static_cast<std::size_t>(Fate::count)> kNames{
      "None",          "SmallStoreThere",      "SmallStoreHere", "FullDisks",     "OtherImageThere", "BrokenImage",
      "NoImageThere",  "UnreadableStoreThere", "ForgetfulThere", "ForgetfulHere", "RestartedThere",  "RestartedHere",
      "RestartedBoth", "RestartedInThePast",   "TornDisks",      "Stranger",      "Siblings",        "BitFlips",
      "Cuts",          "LittleMemory"};
  return std::string(kNames.at(static_cast<std::size_t>(info.param)));
}

INSTANTIATE_TEST_SUITE_P(All, ShrinkFaults, ::testing::Range(0, static_cast<int>(Fate::count)), name_of);

}  // namespace
}  // namespace godwit::migrate
