// Two hosts' encodings, joined by streams in memory that cut what passes at random.
#include "migrate/shrink_encoding.h"

#include "migrate/shrink_frames.h"
#include "sim/host.h"
#include "sim/page_files.h"
#include "support/pages.h"

#include <gtest/gtest.h>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <random>

namespace godwit::migrate {
namespace {

using testing::changed;
using testing::page_of;

constexpr std::size_t kWindow_bytes = 128UL * 1024;

// One direction between two streams.
struct Flow {
  explicit Flow(const sys::Executor& executor) : changed(executor) {}

  ByteVector bytes;
  bool ended{false};
  bool closed{false};
  sys::Signal changed;
};

// What is written to one is read from the other, in pieces that chance cuts.
class Pipe final : public sys::Stream {
 public:
  Pipe(std::shared_ptr<Flow> in, std::shared_ptr<Flow> out, std::uint64_t seed)
      : in_(std::move(in)), out_(std::move(out)), random_(seed) {}
  ~Pipe() override { Pipe::close(); }

  sys::Task<Result<std::size_t>> read_some(ByteSpan into) override {
    while (in_->bytes.empty() && !in_->ended && !in_->closed) co_await in_->changed.wait();
    if (in_->closed && !in_->ended) co_return fail(Errc::cancelled, "closed");
    if (in_->bytes.empty()) co_return fail(Errc::closed, "the end");
    const auto piece = 1 + random_() % (random_() % 4 == 0 ? 100 : 100'000);
    const auto size = std::min({into.size(), in_->bytes.size(), static_cast<std::size_t>(piece)});
    const auto end = in_->bytes.begin() + static_cast<std::ptrdiff_t>(size);
    std::copy(in_->bytes.begin(), end, into.begin());
    in_->bytes.erase(in_->bytes.begin(), end);
    in_->changed.notify();
    co_return size;
  }
  sys::Task<Result<>> write(ByteView bytes) override {
    while (out_->bytes.size() >= kWindow_bytes && !out_->closed) co_await out_->changed.wait();
    if (out_->closed || out_->ended) co_return fail(Errc::io, "nobody reads");
    append(out_->bytes, bytes);
    out_->changed.notify();
    co_return Result<>{};
  }
  sys::Task<Result<>> shutdown_write() override {
    out_->ended = true;
    out_->changed.notify();
    co_return Result<>{};
  }
  void close() override {
    for (const auto& each : {in_, out_}) {
      each->closed = true;
      each->changed.notify();
    }
  }

 private:
  std::shared_ptr<Flow> in_;  // shared with the other end
  std::shared_ptr<Flow> out_;
  std::mt19937_64 random_;
};

using Ends = std::pair<std::unique_ptr<sys::Stream>, std::unique_ptr<sys::Stream>>;
Ends pipe(const sys::Executor& executor, std::uint64_t seed) {
  auto there = std::make_shared<Flow>(executor);
  auto back = std::make_shared<Flow>(executor);
  return {std::make_unique<Pipe>(back, there, seed), std::make_unique<Pipe>(there, back, seed + 1)};
}

// As QEMU's mirror writes a disk: pages that are new, equal to others, changed a little, or zeros.
ByteVector disk_stream(std::uint64_t seed, std::uint64_t requests) {
  std::mt19937_64 random(seed);
  ByteVector out;
  append_be32(out, 3);
  for (std::uint64_t request = 0; request < requests; ++request) {
    const auto pages = 1 + random() % 16;
    append_be32(out, 0x25609513);
    append_be32(out, 1);  // no flags, a write
    append_be64(out, request);
    append_be64(out, random() % 500 * kPage_bytes + (random() % 20 == 0 ? 512 : 0));
    append_be32(out, static_cast<std::uint32_t>(pages * kPage_bytes));
    for (std::uint64_t i = 0; i < pages; ++i) {
      const auto base = page_of(random() % 200);
      const auto kind = random() % 4;
      if (kind == 0) append(out, ByteVector(kPage_bytes));
      if (kind == 1) append(out, changed(base, 3, random()));
      if (kind > 1) append(out, base);
    }
  }
  return out;
}

ByteVector noise(std::uint64_t seed, std::size_t size) {
  ByteVector out;
  for (std::uint64_t i = 0; out.size() < size; ++i) append(out, page_of(seed * 1000 + i));
  out.resize(size);
  return out;
}

sys::Task<bool> say(sys::Stream& stream, ByteView bytes, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  while (!bytes.empty()) {
    const auto size = std::min<std::size_t>(bytes.size(), 1 + random() % 150'000);
    const auto written = co_await stream.write(bytes.first(size));
    if (!written) co_return false;
    bytes = bytes.subspan(size);
  }
  const auto ended = co_await stream.shutdown_write();
  co_return ended.has_value();
}

// Until the end: true where it came in order.
sys::Task<bool> hear(sys::Stream& stream, ByteVector& into) {
  ByteVector buffer(60'000);
  for (;;) {
    const auto size = co_await stream.read_some(buffer);
    if (!size) co_return size.error().code == Errc::closed;
    append(into, ByteView(buffer).first(*size));
  }
}

// What crosses one connection, and what came of it.
struct Crossing {
  Channel channel{Channel::disk};
  ByteVector forth;
  ByteVector back;
  std::uint64_t seed{0};
};

sys::Task<void> cross(sys::Executor executor, Transfer& leaving, Transfer& arriving, Crossing crossing, int& whole) {
  using namespace boost::asio::experimental::awaitable_operators;
  auto [qemu_here, here] = pipe(executor, crossing.seed);
  auto [wan_here, wan_there] = pipe(executor, crossing.seed + 10);
  auto [there, qemu_there] = pipe(executor, crossing.seed + 20);
  ByteVector forth;
  ByteVector back;
  auto leave = leaving.carry(crossing.channel, std::move(here), std::move(wan_here));
  auto arrive = arriving.carry(crossing.channel, std::move(there), std::move(wan_there));
  auto all = std::move(leave) && std::move(arrive) && say(*qemu_here, crossing.forth, crossing.seed) &&
             say(*qemu_there, crossing.back, crossing.seed + 1) && hear(*qemu_there, forth) && hear(*qemu_here, back);
  const auto [left, arrived, said_forth, said_back, heard_forth, heard_back] = co_await std::move(all);
  EXPECT_TRUE(left) << left.error().message;
  EXPECT_TRUE(arrived) << arrived.error().message;
  EXPECT_TRUE(said_forth && said_back && heard_forth && heard_back);
  EXPECT_TRUE(forth == crossing.forth) << forth.size() << " of " << crossing.forth.size();
  EXPECT_TRUE(back == crossing.back) << back.size() << " of " << crossing.back.size();
  if (forth == crossing.forth && back == crossing.back) ++whole;
}

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

class Idle final : public sim::Program {};

class Shrink : public ::testing::Test {
 protected:
  void cross_all(HostContent& from, HostContent& to, const std::vector<Crossing>& crossings) {
    leaving_ = from.encoding.leave(from.spec);
    arriving_ = to.encoding.arrive(to.spec);
    int whole = 0;
    for (const auto& each : crossings) {
      process_.spawn(cross(runtime_.executor, *leaving_, *arriving_, each, whole));
    }
    const auto all = static_cast<int>(crossings.size());
    EXPECT_TRUE(world_.run_until([&] { return whole == all; }, Seconds{60})) << whole << " of " << all;
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
  int whole = 0;
  for (std::uint64_t i = 0; i < 3; ++i) {
    const Crossing one{Channel::disk, disk_stream(i, 50), noise(i, 9000), 10 * i};
    process_.spawn(cross(runtime_.executor, *forth, *from_there, one, whole));
    process_.spawn(cross(runtime_.executor, *home, *from_here, one, whole));
  }
  EXPECT_TRUE(world_.run_until([&] { return whole == 6; }, Seconds{60})) << whole;
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

}  // namespace
}  // namespace godwit::migrate
