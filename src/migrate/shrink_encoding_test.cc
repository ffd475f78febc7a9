// Two hosts' encodings, joined by streams in memory that cut what passes at random.
#include "migrate/shrink_encoding.h"

#include "migrate/batch_decoder.h"
#include "migrate/shrink_frames.h"
#include "sim/host.h"
#include "sim/page_files.h"
#include "support/crossings.h"
#include "support/pages.h"

#include <gtest/gtest.h>

#include <functional>
#include <list>

namespace godwit::migrate {
namespace {

using testing::Crossing;
using testing::disk_stream;
using testing::noise;
using testing::pipe;

Result<std::unique_ptr<content::Blocks>> no_image(const std::string&) { return fail(Errc::not_found, "no image"); }

// A host's agent, as far as content goes.
struct HostContent {
  HostContent(sys::Runtime& runtime, const std::string& peer) : encoding(runtime, store, library) {
    spec.tenant = "alice";
    spec.peer = peer;
  }
  sim::PageFiles files;
  content::Store store{files, "/store", {}};
  content::Library library{no_image};
  ShrinkEncoding encoding;
  TransferSpec spec;
};

// One whose agent can be started again, on the same disk.
struct KeptHost {
  KeptHost(sys::Runtime& on, sim::PageFiles& disk, const std::string& peer)
      : runtime{on.executor, on.clock, on.random, on.files, disk,  on.processes,
                on.local,    on.peers, on.http,   on.taps,  on.log},
        store(disk, "/store", {}, content::Store::Begin::kept),
        encoding(runtime, store, library) {
    while (store.verify(1000)) {
    }
    spec.tenant = "alice";
    spec.peer = peer;
    spec.instance = "inst-web";
  }
  sys::Runtime runtime;
  content::Store store;
  content::Library library{no_image};
  ShrinkEncoding encoding;
  TransferSpec spec;
};

class Idle final : public sim::Program {};

class Shrink : public ::testing::Test {
 protected:
  template <class Host>
  void cross_all(Host& from, Host& to, const std::vector<Crossing>& crossings) {
    leaving_ = from.encoding.leave(from.spec);
    arriving_ = to.encoding.arrive(to.spec);
    begin(*leaving_, *arriving_, crossings);
    expect_all_came();
  }
  void begin(Transfer& leaving, Transfer& arriving, const std::vector<Crossing>& crossings) {
    for (const auto& each : crossings) {
      sent_.push_back(each);
      came_.emplace_back();
      process_.spawn(testing::cross(runtime_.executor, leaving, arriving, each, came_.back()));
    }
  }
  void expect_all_came() {
    const auto ended = [&] { return std::ranges::all_of(came_, &testing::Crossed::ended); };
    EXPECT_TRUE(world_.run_until(ended, Seconds{60})) << "some wait forever";
    auto sent = sent_.begin();
    for (const auto& came : came_) {
      EXPECT_TRUE(came.left) << came.left.error().message;
      EXPECT_TRUE(came.arrived) << came.arrived.error().message;
      EXPECT_TRUE(came.all_in_order);
      EXPECT_TRUE(came.forth == sent->forth) << came.forth.size() << " of " << sent->forth.size();
      EXPECT_TRUE(came.back == sent->back) << came.back.size() << " of " << sent->back.size();
      ++sent;
    }
    sent_.clear();
    came_.clear();
  }

  // A peer that says `bytes` and then nothing, or its end.
  Result<> answered_with(ByteView bytes, bool ends);
  Result<> told(ByteView bytes, bool ends);

  sim::World world_{1};
  sim::Process& process_{world_.add_host("a1", "site-a", "10.1.0.1").start("agent", {}, [](sim::Process&) {
    return std::make_unique<Idle>();
  })};
  sys::Runtime& runtime_{process_.runtime()};
  HostContent here_{runtime_, "there"};
  HostContent there_{runtime_, "here"};
  std::unique_ptr<Transfer> leaving_;
  std::unique_ptr<Transfer> arriving_;
  std::vector<Crossing> sent_;
  std::list<testing::Crossed> came_;
};

TEST_F(Shrink, WhatComesOutIsWhatWentInBothWaysHoweverItIsCut) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    cross_all(here_, there_, {{Channel::disk, disk_stream(seed, 60), noise(seed, seed * 30'000), seed}});
    EXPECT_GT(leaving_->wan_bytes().disk, 0U);
    cross_all(here_, there_, {{Channel::memory, noise(seed + 50, seed * 100'000), noise(seed, 5000), seed}});
  }
}

TEST_F(Shrink, AConnectionThatSaysNothingEnds) {
  cross_all(here_, there_, {{Channel::memory, {}, {}, 1}, {Channel::disk, {}, noise(1, 100'000), 2}});
}

TEST_F(Shrink, ASecondMigrationAndTheWayBackCostLittle) {
  const auto stream = disk_stream(1, 100);
  cross_all(here_, there_, {{Channel::disk, stream, noise(1, 1000), 1}});
  const auto first = leaving_->wan_bytes().disk;
  EXPECT_LT(first, stream.size() / 2);
  cross_all(there_, here_, {{Channel::disk, stream, noise(2, 1000), 2}});
  EXPECT_LT(leaving_->wan_bytes().disk, first / 3);
  cross_all(here_, there_, {{Channel::disk, stream, noise(3, 1000), 3}});
  EXPECT_LT(leaving_->wan_bytes().disk, first / 3);
}

TEST_F(Shrink, TheWayBackCostsAFractionThoughAgentsWereRestartedMeanwhile) {
  const auto stream = disk_stream(1, 600);
  for (const bool there_too : {false, true}) {
    sim::PageFiles here_disk;
    sim::PageFiles there_disk;
    auto here = std::make_unique<KeptHost>(runtime_, here_disk, "there");
    auto there = std::make_unique<KeptHost>(runtime_, there_disk, "here");
    cross_all(*here, *there, {{Channel::disk, stream, noise(1, 1000), 1}});
    const auto first = leaving_->wan_bytes().disk;
    leaving_.reset();
    arriving_.reset();
    here.reset();
    here = std::make_unique<KeptHost>(runtime_, here_disk, "there");
    if (there_too) {
      there.reset();
      there = std::make_unique<KeptHost>(runtime_, there_disk, "here");
    }
    cross_all(*there, *here, {{Channel::disk, stream, noise(2, 1000), 2}});
    EXPECT_LT(leaving_->wan_bytes().disk, first / 5) << "of " << first;
    EXPECT_GT(leaving_->savings().earlier, stream.size() / 2);
    EXPECT_EQ(leaving_->savings().sibling, 0U);
    leaving_.reset();
    arriving_.reset();
  }
}

TEST_F(Shrink, ADestinationThatLostAllIsGivenAll) {
  const auto stream = disk_stream(1, 100);
  cross_all(here_, there_, {{Channel::disk, stream, {}, 1}});
  HostContent anew(runtime_, "here");
  cross_all(here_, anew, {{Channel::disk, stream, {}, 2}});
  arriving_.reset();
}

TEST_F(Shrink, ASourceThatLostAllGivesAll) {
  const auto stream = disk_stream(1, 100);
  cross_all(here_, there_, {{Channel::disk, stream, {}, 1}});
  HostContent anew(runtime_, "there");
  cross_all(anew, there_, {{Channel::disk, stream, {}, 2}});
  cross_all(there_, anew, {{Channel::disk, stream, {}, 3}});
  leaving_.reset();
  arriving_.reset();
}

// Its disk fails, so that every reference to what it holds does.
TEST_F(Shrink, ADestinationThatCanReadNothingIsGivenAllAgain) {
  const auto stream = disk_stream(1, 200);
  cross_all(here_, there_, {{Channel::disk, stream, {}, 1}});
  cross_all(here_, there_, {{Channel::disk, noise(1, 3'000'000), {}, 2}});  // out of the newest pages
  there_.files.fail_reads(true);
  cross_all(here_, there_, {{Channel::disk, stream, {}, 3}});
}

TEST_F(Shrink, ConnectionsOfOneMigrationGoSideBySide) {
  std::vector<Crossing> crossings;
  std::uint64_t bytes = 0;
  for (std::uint64_t i = 0; i < 6; ++i) {
    crossings.push_back({Channel::disk, disk_stream(i % 2, 60), noise(i, 20'000), 100 * i});
    bytes += crossings.back().forth.size();
  }
  cross_all(here_, there_, crossings);
  EXPECT_LT(leaving_->wan_bytes().disk, bytes);
}

TEST_F(Shrink, BothHostsLeaveForEachOtherAtOnce) {
  const auto forth = here_.encoding.leave(here_.spec);
  const auto from_there = there_.encoding.arrive(there_.spec);
  const auto home = there_.encoding.leave(there_.spec);
  const auto from_here = here_.encoding.arrive(here_.spec);
  for (std::uint64_t i = 0; i < 3; ++i) {
    const Crossing one{Channel::disk, disk_stream(i, 50), noise(i, 9000), 10 * i};
    begin(*forth, *from_there, {one});
    begin(*home, *from_here, {one});
  }
  expect_all_came();
}

TEST_F(Shrink, AConnectionThatFindsNoMemoryFailsAtBothEndsAndTheOthersGoOn) {
  auto memory = std::make_shared<HostMemory>(MemoryLimits{.connections_bytes = 10 * kMiB});
  ShrinkEncoding little(runtime_, there_.store, there_.library, nullptr, "shrink", std::nullopt, memory);
  EXPECT_FALSE(little.has_room());
  EXPECT_TRUE(there_.encoding.has_room());
  leaving_ = here_.encoding.leave(here_.spec);
  arriving_ = little.arrive(there_.spec);
  std::vector<Crossing> crossings;
  for (std::uint64_t i = 0; i < 3; ++i) crossings.push_back({Channel::disk, disk_stream(i, 60), noise(i, 20'000), i});
  begin(*leaving_, *arriving_, crossings);
  const auto ended = [&] { return std::ranges::all_of(came_, &testing::Crossed::ended); };
  EXPECT_TRUE(world_.run_until(ended, Seconds{60}));
  EXPECT_EQ(std::ranges::count_if(came_, [](const auto& each) { return each.arrived && each.left; }), 2);
  EXPECT_EQ(came_.back().arrived.error().code, Errc::exhausted) << came_.back().arrived.error().message;
  EXPECT_FALSE(came_.back().left);
  EXPECT_EQ(memory->connections.free_bytes(), memory->limits.connections_bytes);
  arriving_.reset();
}

sys::Task<void> carry_alone(Transfer& transfer, std::unique_ptr<sys::Stream> local, std::unique_ptr<sys::Stream> wan,
                            std::optional<Result<>>& ended);
sys::Task<void> write_all(sys::Stream& stream, ByteVector bytes, bool ends);

sys::Task<void> hear_all(sys::Stream& stream, ByteVector& into, std::optional<bool>& ended) {
  ByteVector buffer(60'000);
  for (;;) {
    const auto size = co_await stream.read_some(buffer);
    if (!size) {
      ended = size.error().code == Errc::closed;
      co_return;
    }
    append(into, ByteView(buffer).first(*size));
  }
}

// What the welcome lets a source refer to must outlast whatever else arrives meanwhile.
TEST_F(Shrink, WhatMayBeReferredToIsNotEvictedWhileTheMigrationGoesOn) {
  sim::PageFiles files;
  content::Store store(files, "/small", {.disk_bytes = 4096 * kPage_bytes});
  ShrinkEncoding encoding(runtime_, store, there_.library);
  const auto domain = store.domain("alice");
  const auto keep = [&](std::uint64_t number) {
    const auto page = testing::page_of(number);
    return store.append(domain, page, content::fingerprint_of(page));
  };
  for (std::uint64_t i = 0; i < store.limit_pages(); ++i) ASSERT_TRUE(keep(i));
  const auto leased = store.next() - store.limit_pages() / 2;
  const auto arriving = encoding.arrive(there_.spec);
  for (std::uint64_t i = 0; i < store.limit_pages(); ++i) (void)keep(100'000 + i);
  ByteVector page(kPage_bytes);
  EXPECT_TRUE(store.read(domain, leased, page));
  EXPECT_TRUE(store.read(domain, leased + store.limit_pages() / 4, page));
}

// Two members of a gang, on their way to a host that has no room but for what is leased: one arrives, and what it
// brought stays for the other.
TEST_F(Shrink, WhatOneOfAGangHasBroughtStaysWhileAnotherStillMoves) {
  constexpr std::size_t kStore_pages = 4096;
  sim::PageFiles files;
  content::Store store(files, "/small", {.disk_bytes = kStore_pages * kPage_bytes});
  ShrinkEncoding encoding(runtime_, store, there_.library);
  const auto domain = store.domain("alice");
  const auto crowd_out = [&](std::uint64_t first) {  // what else comes to the host: guests that run there are scanned
    for (std::uint64_t i = first; i < first + 2 * kStore_pages; ++i) {
      const auto page = testing::page_of(i);
      (void)store.append(domain, page, content::fingerprint_of(page));
    }
  };
  const auto stream = disk_stream(1, 200);
  leaving_ = here_.encoding.leave(here_.spec);
  arriving_ = encoding.arrive(there_.spec);
  const auto second_leaves = here_.encoding.leave(here_.spec);
  auto second_arrives = encoding.arrive(there_.spec);
  begin(*leaving_, *arriving_, {{Channel::disk, stream, {}, 1}});
  expect_all_came();
  const auto first_bytes = leaving_->wan_bytes().disk;
  leaving_.reset();
  arriving_.reset();
  crowd_out(1'000'000);
  begin(*second_leaves, *second_arrives, {{Channel::disk, stream, {}, 2}});
  expect_all_came();
  EXPECT_LT(second_leaves->wan_bytes().disk, first_bytes / 5) << "of " << first_bytes;
  const auto page = testing::page_of(0);
  const auto is_there = [&] { return store.find(domain, page, content::fingerprint_of(page)) != 0; };
  EXPECT_TRUE(is_there());
  second_arrives.reset();
  crowd_out(2'000'000);
  EXPECT_FALSE(is_there()) << "the lease ends with the last of them";
}

TEST_F(Shrink, BytesThatPassAsTheyAreComeOutInTheirPlace) {
  arriving_ = there_.encoding.arrive(there_.spec);
  const auto bytes = noise(1, 200'000);
  const auto& executor = process_.runtime().executor;
  auto [qemu, local] = pipe(executor, 1);
  auto [wan, peer] = pipe(executor, 2);
  auto said = make_frame(ShrinkFrame::hello, pack(ShrinkHello{RapportId{std::byte{1}}, 1}));
  append(said, make_frame(ShrinkFrame::raw, ByteView(bytes).first(150'000)));
  append(said, make_frame(ShrinkFrame::raw, ByteView(bytes).subspan(150'000)));
  append(said, make_frame(ShrinkFrame::end, {}));
  ByteVector heard;
  std::optional<bool> ended;
  process_.spawn(write_all(*peer, std::move(said), true));
  process_.spawn(hear_all(*qemu, heard, ended));
  std::optional<Result<>> carried;
  process_.spawn(carry_alone(*arriving_, std::move(local), std::move(wan), carried));
  EXPECT_TRUE(world_.run_until([&] { return ended.has_value(); }, Seconds{60}));
  EXPECT_TRUE(heard == bytes) << heard.size();
  qemu->close();
  EXPECT_TRUE(world_.run_until([&] { return carried.has_value(); }, Seconds{60}));
}

// Writes of pages that nobody has, one after the other without end, as fast as they are taken.
sys::Task<void> write_on(sys::Stream& stream, std::size_t& taken_bytes) {
  constexpr std::uint64_t kPages = 16;
  ByteVector said;
  append_be32(said, 3);  // the client's flags
  for (std::uint64_t page = 0;; page += kPages) {
    append_be32(said, 0x25609513);
    append_be32(said, 1);
    append_be64(said, page);
    append_be64(said, page * kPage_bytes);
    append_be32(said, kPages * kPage_bytes);
    for (std::uint64_t i = 0; i < kPages; ++i) append(said, testing::page_of(page + i));
    const auto written = co_await stream.write(said);
    if (!written) co_return;
    taken_bytes += said.size();
    said.clear();
  }
}

// QEMU pauses its guest when what is left would be taken within the downtime: what was taken must be all but there.
TEST_F(Shrink, OnALinkThatStandsStillLessThanAMebibyteIsTakenOfWhatIsNew) {
  leaving_ = here_.encoding.leave(here_.spec);
  auto [qemu, local] = pipe(runtime_.executor, 1);
  auto [wan, peer] = pipe(runtime_.executor, 2);
  std::size_t taken_bytes = 0;
  process_.spawn(write_on(*qemu, taken_bytes));
  std::optional<Result<>> ended;
  process_.spawn(carry_alone(*leaving_, std::move(local), std::move(wan), ended));
  EXPECT_FALSE(world_.run_until([&] { return ended.has_value(); }, Seconds{20}));
  EXPECT_GT(taken_bytes, 2 * testing::kPipeWindow_bytes) << "what the pipes take";
  EXPECT_LT(taken_bytes, kMiB);
  peer->close();
  EXPECT_TRUE(world_.run_until([&] { return ended.has_value(); }, Seconds{60}));
}

// What a link lets through: a piece every few milliseconds. Notes it.
sys::Task<void> pass_slowly(sys::Clock& clock, sys::Stream& from, sys::Stream& to, ByteVector& passed) {
  ByteVector buffer(16UL * 1024);
  for (;;) {
    const auto size = co_await from.read_some(buffer);
    if (!size) break;
    append(passed, ByteView(buffer).first(*size));
    co_await clock.sleep_for(Millis{4});
    const auto written = co_await to.write(ByteView(buffer).first(*size));
    if (!written) break;
  }
  (void)co_await to.shutdown_write();
}

// How many bytes of the stream each batch stands for, as a destination rebuilds them.
std::vector<std::size_t> batches_in(ByteView frames) {
  sim::PageFiles files;
  content::Store store(files, "/store", {});
  auto rapport = std::make_shared<Rapport>();
  rapport->domain = store.domain("alice");
  Arrivals arrivals{store, rapport, nullptr, false};
  BatchDecoder decoder(arrivals, 1);
  std::vector<std::size_t> sizes;
  while (frames.size() >= kFrameHeader_bytes) {
    const auto type = static_cast<ShrinkFrame>(frames[0]);
    const auto size = load_be32(frames.subspan(1));
    if (type == ShrinkFrame::batch) {
      const auto decoded = decoder.decode(frames.subspan(kFrameHeader_bytes, size));
      EXPECT_TRUE(decoded) << decoded.error().message;
      sizes.push_back(decoded ? decoded->size() : 0);
    }
    frames = frames.subspan(kFrameHeader_bytes + size);
  }
  return sizes;
}

// Large batches compress better. The first one goes before there is that much, the last one has what is left.
TEST_F(Shrink, WhereALinkIsSlowerThanQemuBatchesAreOf128KiBAtLeast) {
  constexpr std::size_t kLeast_bytes = 128UL * 1024;
  leaving_ = here_.encoding.leave(here_.spec);
  arriving_ = there_.encoding.arrive(there_.spec);
  auto [qemu_here, local_here] = pipe(runtime_.executor, 1);
  auto [wan_here, link_here] = pipe(runtime_.executor, 2);
  auto [link_there, wan_there] = pipe(runtime_.executor, 3);
  auto [local_there, qemu_there] = pipe(runtime_.executor, 4);
  ByteVector forth;
  ByteVector back;
  ByteVector came;
  std::optional<bool> heard;
  std::optional<Result<>> left;
  std::optional<Result<>> arrived;
  const auto stream = noise(1, 6'000'000);
  process_.spawn(pass_slowly(runtime_.clock, *link_here, *link_there, forth));
  process_.spawn(pass_slowly(runtime_.clock, *link_there, *link_here, back));
  process_.spawn(write_all(*qemu_here, stream, true));
  process_.spawn(write_all(*qemu_there, {}, true));
  process_.spawn(hear_all(*qemu_there, came, heard));
  process_.spawn(carry_alone(*leaving_, std::move(local_here), std::move(wan_here), left));
  process_.spawn(carry_alone(*arriving_, std::move(local_there), std::move(wan_there), arrived));
  EXPECT_TRUE(world_.run_until([&] { return left && arrived && heard; }, Seconds{60}));
  EXPECT_TRUE(came == stream);
  const auto sizes = batches_in(forth);
  ASSERT_GT(sizes.size(), 10U);
  for (std::size_t i = 1; i + 1 < sizes.size(); ++i) EXPECT_GE(sizes[i], kLeast_bytes) << i;
}

// ---- peers that say nonsense

sys::Task<void> carry_alone(Transfer& transfer, std::unique_ptr<sys::Stream> local, std::unique_ptr<sys::Stream> wan,
                            std::optional<Result<>>& ended) {
  auto carried = transfer.carry(Channel::disk, std::move(local), std::move(wan));
  ended = co_await std::move(carried);
}

sys::Task<void> write_all(sys::Stream& stream, ByteVector bytes, bool ends) {
  (void)co_await stream.write(bytes);
  if (ends) (void)co_await stream.shutdown_write();
}

// QEMU is silent, and stays.
Result<> alone(sim::World& world, sim::Process& process, Transfer& transfer, ByteView qemu, ByteView peer, bool ends) {
  const auto& executor = process.runtime().executor;
  auto [qemu_end, local] = pipe(executor, 1);
  auto [wan, peer_end] = pipe(executor, 2);
  process.spawn(write_all(*qemu_end, ByteVector(qemu.begin(), qemu.end()), false));
  process.spawn(write_all(*peer_end, ByteVector(peer.begin(), peer.end()), ends));
  std::optional<Result<>> ended;
  process.spawn(carry_alone(transfer, std::move(local), std::move(wan), ended));
  EXPECT_TRUE(world.run_until([&] { return ended.has_value(); }, Seconds{60})) << "it waits forever";
  return ended.value_or(Result<>{});
}

Result<> Shrink::answered_with(ByteView bytes, bool ends) {
  leaving_ = here_.encoding.leave(here_.spec);
  return alone(world_, process_, *leaving_, disk_stream(1, 3), bytes, ends);
}

Result<> Shrink::told(ByteView bytes, bool ends) {
  arriving_ = there_.encoding.arrive(there_.spec);
  return alone(world_, process_, *arriving_, {}, bytes, ends);
}

void expect_protocol(const Result<>& ended) {
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, Errc::protocol) << ended.error().message;
}

ByteVector joined(std::initializer_list<ByteVector> frames) {
  ByteVector out;
  for (const auto& each : frames) append(out, each);
  return out;
}

TEST_F(Shrink, ADestinationThatSaysNonsenseEndsTheConnection) {
  const auto welcome = make_frame(ShrinkFrame::hello, pack(ShrinkWelcome{}));
  const auto end = make_frame(ShrinkFrame::end, {});
  expect_protocol(answered_with(noise(1, 100), false));
  expect_protocol(answered_with(make_frame(ShrinkFrame::hello, noise(1, 3)), false));
  expect_protocol(answered_with(joined({welcome, make_frame(ShrinkFrame::acknowledged, noise(1, 3))}), false));
  expect_protocol(answered_with(joined({welcome, make_frame(ShrinkFrame::batch, pack_number(1))}), false));
  const auto unkept = make_frame(ShrinkFrame::unkept, pack_number(99));
  expect_protocol(answered_with(joined({welcome, unkept, unkept}), false));
  // A batch that never was.
  expect_protocol(answered_with(joined({welcome, make_frame(ShrinkFrame::lacking, pack_number(99))}), false));
  expect_protocol(answered_with(joined({welcome, end, end}), false));
  // An end while batches are not acknowledged.
  expect_protocol(answered_with(joined({welcome, end}), true));
}

TEST_F(Shrink, ASourceThatSaysNonsenseEndsTheConnection) {
  const auto hello = make_frame(ShrinkFrame::hello, pack(ShrinkHello{RapportId{std::byte{1}}, 1}));
  const auto batch = make_frame(ShrinkFrame::batch, noise(1, 100));
  expect_protocol(told(noise(1, 100), false));
  expect_protocol(told(make_frame(ShrinkFrame::hello, noise(1, 3)), false));
  expect_protocol(told(batch, false));
  expect_protocol(told(joined({hello, hello}), false));
  expect_protocol(told(joined({hello, batch}), false));
  expect_protocol(told(joined({hello, make_frame(ShrinkFrame::again, {})}), false));
  expect_protocol(told(joined({hello, make_frame(ShrinkFrame::acknowledged, pack_number(0))}), false));
}

// A source that reads nothing, and says what `next` says until that is empty: then its end.
class Flood final : public sys::Stream {
 public:
  Flood(const sys::Executor& executor, std::function<ByteVector()> next) : next_(std::move(next)), closed_(executor) {}
  sys::Task<Result<std::size_t>> read_some(ByteSpan into) override {
    if (is_closed_) co_return fail(Errc::cancelled, "closed");
    if (rest_.empty()) {
      frame_ = next_();
      rest_ = frame_;
    }
    if (rest_.empty()) co_return fail(Errc::closed, "the end");
    const auto size = std::min(rest_.size(), into.size());
    std::ranges::copy(rest_.first(size), into.begin());
    rest_ = rest_.subspan(size);
    co_return size;
  }
  sys::Task<Result<>> write(ByteView) override {
    while (!is_closed_) co_await closed_.wait();
    co_return fail(Errc::cancelled, "closed");
  }
  sys::Task<Result<>> shutdown_write() override { co_return Result<>{}; }
  void close() override {
    is_closed_ = true;
    closed_.notify();
  }

 private:
  std::function<ByteVector()> next_;
  ByteVector frame_;
  ByteView rest_;
  bool is_closed_{false};
  sys::Signal closed_;
};

class Flooded : public Shrink {
 protected:
  // `next`: the frames after Hello.
  Result<> flooded(std::function<ByteVector()> next) {
    ShrinkEncoding encoding(runtime_, there_.store, there_.library, nullptr, "shrink", std::nullopt, little_);
    const auto arriving = encoding.arrive(there_.spec);
    auto [qemu_end, local] = pipe(runtime_.executor, 1);
    ByteVector came;
    std::optional<bool> heard;
    process_.spawn(hear_all(*qemu_end, came, heard));
    std::optional<Result<>> ended;
    auto wan = std::make_unique<Flood>(runtime_.executor, std::move(next));
    process_.spawn(carry_alone(*arriving, std::move(local), std::move(wan), ended));
    EXPECT_TRUE(world_.run_until([&] { return ended && heard; }, Seconds{60})) << "it waits forever";
    return ended.value_or(Result<>{});
  }
  // The source's next batch, of a byte.
  ByteVector batch() {
    const std::vector<wire::Stretch> stretches{{wire::StretchKind::other, 1, 0}};
    constexpr Effort kNone{false, false, 0, false};
    auto encoded = encoder_.encode(ByteView(byte_), stretches, kNone);
    EXPECT_TRUE(encoded);
    return encoded ? std::move(encoded->frame) : ByteVector();
  }

  static constexpr int kMany = 600'000;
  std::shared_ptr<HostMemory> little_{std::make_shared<HostMemory>(MemoryLimits{.connections_bytes = 8 * kMiB})};
  ByteVector hello_{make_frame(ShrinkFrame::hello, pack(ShrinkHello{RapportId{std::byte{1}}, 1}))};
  int said_{0};

 private:
  std::array<std::byte, 1> byte_{std::byte{'x'}};
  std::shared_ptr<Rapport> rapport_{std::make_shared<Rapport>()};
  Departure departure_{here_.store, rapport_, nullptr, Places{}, wire::Savings{}};
  BatchEncoder encoder_{departure_, 1};
};

// While a batch that came to other bytes is on its way again, what is behind it waits in memory.
TEST_F(Flooded, ByEmptyFramesBehindABatchThatItLacksADestinationEndsTheConnection) {
  expect_protocol(flooded([&] {
    if (said_++ == 0) return hello_;
    auto lacked = said_ == 2 ? batch() : ByteVector();
    if (!lacked.empty()) lacked.back() ^= std::byte{1};
    return said_ > kMany ? ByteVector() : make_frame(ShrinkFrame::batch, lacked);
  }));
  EXPECT_LT(said_, kMany);
}

TEST_F(Flooded, BySmallBatchesWhoseAcknowledgementsNobodyReadsADestinationEndsTheConnection) {
  expect_protocol(flooded([&] {
    if (said_++ == 0) return hello_;
    return said_ > kMany ? ByteVector() : make_frame(ShrinkFrame::batch, batch());
  }));
  EXPECT_LT(said_, kMany);
}

}  // namespace
}  // namespace godwit::migrate
