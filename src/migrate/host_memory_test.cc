// What the heap says of connections whose peers let them wait: as many as find room, each with all that it may keep.
#include "migrate/host_memory.h"

#include "migrate/shrink_encoding.h"
#include "migrate/shrink_frames.h"
#include "sim/host.h"
#include "sim/page_files.h"
#include "support/crossings.h"

#include <gtest/gtest.h>
#include <malloc.h>

namespace godwit::migrate {
namespace {

constexpr std::size_t kStoreAndScratch_bytes = 24 * kMiB;
constexpr std::size_t kPipes_bytes = 2 * kMiB;  // of the test, a connection

std::size_t heap_bytes() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

Result<std::unique_ptr<content::Blocks>> no_image(const std::string&) { return fail(Errc::not_found, "no image"); }

class Idle final : public sim::Program {};

sys::Task<void> say_and_hear(sys::Stream& stream, ByteView bytes) {
  for (Result<> said; said && !bytes.empty(); bytes = bytes.subspan(std::min<std::size_t>(bytes.size(), 65'536))) {
    said = co_await stream.write(bytes.first(std::min<std::size_t>(bytes.size(), 65'536)));
  }
  ByteVector buffer(60'000);
  while (co_await stream.read_some(buffer)) {
  }
}

class HeapOfConnections : public ::testing::Test {
 protected:
  // QEMU says `local`, the peer `wan` and takes whatever it is told.
  void connect(Transfer& transfer, ByteView local, ByteView wan) {
    auto [qemu, local_end] = testing::pipe(runtime_.executor, 10 * ends_.size());
    auto [wan_end, peer] = testing::pipe(runtime_.executor, 10 * ends_.size() + 5);
    process_.spawn(say_and_hear(*peer, wan));
    process_.spawn(say_and_hear(*qemu, local));
    process_.spawn(carry(transfer, std::move(local_end), std::move(wan_end)));
    ends_.push_back(std::move(qemu));
    ends_.push_back(std::move(peer));
  }
  // Connections that came are all but those that were refused.
  void expect_within_the_limits(std::size_t before, std::size_t least_connections) {
    world_.run_until([] { return false; }, Seconds{20});
    const auto connections = ends_.size() / 2 - refused_;
    EXPECT_GE(connections, least_connections);
    EXPECT_GT(refused_, 0U);
    const auto most = memory_->limits.connections_bytes + kStoreAndScratch_bytes + connections * kPipes_bytes;
    EXPECT_LE(heap_bytes() - before, most) << (heap_bytes() - before) / kMiB << " MiB";
    // While what they wait on is there.
    for (const auto& each : ends_) each->close();
    world_.run_until([] { return false; }, Seconds{1});
    ends_.clear();
    process_.kill();
  }
  sys::Task<void> carry(Transfer& transfer, std::unique_ptr<sys::Stream> local, std::unique_ptr<sys::Stream> wan) {
    auto carried = transfer.carry(Channel::memory, std::move(local), std::move(wan));
    const auto done = co_await std::move(carried);
    if (!done && done.error().code == Errc::exhausted) ++refused_;
  }

  sim::World world_{1};
  sim::Process& process_{world_.add_host("a1", "site-a", "10.1.0.1").start("agent", {}, [](sim::Process&) {
    return std::make_unique<Idle>();
  })};
  sys::Runtime& runtime_{process_.runtime()};
  sim::PageFiles files_;
  content::Store store_{files_, "/store", {}};
  content::Library library_{no_image};
  std::shared_ptr<HostMemory> memory_{std::make_shared<HostMemory>()};
  ShrinkEncoding encoding_{runtime_, store_, library_, nullptr, "shrink", std::nullopt, memory_};
  TransferSpec spec_{.tenant = "alice", .image_sha256 = "", .peer = "peer", .flushes_cross = true};
  std::unique_ptr<Transfer> transfer_;
  std::vector<std::unique_ptr<sys::Stream>> ends_;
  std::size_t refused_{0};
};

TEST_F(HeapOfConnections, SourcesWhoseDestinationsAcknowledgeNothing) {
  const auto stream = testing::noise(1, 24'000'000);
  ShrinkWelcome welcome;
  welcome.window_bytes = kWindowMost_bytes;
  const auto hello = make_frame(ShrinkFrame::hello, pack(welcome));
  transfer_ = encoding_.leave(spec_);
  const auto before = heap_bytes();
  for (int i = 0; i < 70; ++i) connect(*transfer_, stream, hello);
  expect_within_the_limits(before, 20);
}

TEST_F(HeapOfConnections, DestinationsThatWaitForABatch) {
  Batch lacking;
  const auto origins = pack_origins(std::vector<PageOrigin>{{Origin::sent, 9, 9}});
  ByteVector body{std::byte{3}, std::byte{1}};
  append(body, origins);
  lacking.shape_size = 2;
  lacking.origins_size = static_cast<std::uint32_t>(origins.size());
  lacking.body_size = static_cast<std::uint32_t>(body.size());
  lacking.body = body;
  auto said = make_frame(ShrinkFrame::hello, pack(ShrinkHello{RapportId{std::byte{1}}, 1}));
  append(said, make_frame(ShrinkFrame::batch, pack(lacking)));
  const auto behind = make_frame(ShrinkFrame::batch, ByteVector(kMiB));
  for (std::size_t i = 0; i < kWindowMost_bytes / kMiB; ++i) append(said, behind);
  transfer_ = encoding_.arrive(spec_);
  const auto before = heap_bytes();
  for (int i = 0; i < 40; ++i) connect(*transfer_, {}, said);
  expect_within_the_limits(before, 1);
}

}  // namespace
}  // namespace godwit::migrate
