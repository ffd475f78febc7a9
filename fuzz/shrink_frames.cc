// The frames of a shrunk connection, from a peer that may say anything.
// Input: 's' for what a source says, 'd' for what a destination answers; the length of the pieces (one byte); the
// bytes.
#include "base/assert.h"
#include "migrate/shrink_destination.h"
#include "migrate/shrink_source.h"
#include "sim/page_files.h"
#include "support/byte_stream.h"
#include "support/input.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

namespace {

using namespace godwit;
using namespace godwit::migrate;

class StillClock final : public sys::Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return {}; }
  [[nodiscard]] WallTime wall_now() const override { return {}; }
  [[nodiscard]] sys::Task<void> sleep_until(TimePoint) override { co_return; }
};

// A cloud that has nothing, but may be asked.
class EmptyCloud final : public content::Siblings {
 public:
  std::optional<CloudKey> key_of(const std::string&) const override { return CloudKey{std::byte{1}}; }
  bool may_know(const std::string&) const override { return true; }
  sys::Task<std::vector<content::PageId>> bring(std::string, std::vector<content::PageDigest> digests) override {
    co_return std::vector<content::PageId>(digests.size());
  }
  sys::Task<std::vector<content::PageId>> bring_alike(std::string, std::vector<content::Sketch> sketches) override {
    co_return std::vector<content::PageId>(sketches.size());
  }
};

struct Side {
  sim::PageFiles files;
  content::Store store{files, "/store", {}};
  std::shared_ptr<Rapport> rapport{std::make_shared<Rapport>()};

  Side() { rapport->domain = store.domain("alice"); }
};

sys::Task<void> note(sys::Task<Result<>> task, sys::Stream& local, sys::Stream& wan, bool& ended) {
  const auto done = co_await std::move(task);
  ended = true;
  if (done) co_return;
  local.close();
  wan.close();
}

// Both directions, until nothing moves any more: then both must have ended.
void run_both(boost::asio::io_context& context, sys::Task<Result<>> forth, sys::Task<Result<>> back, sys::Stream& local,
              sys::Stream& wan) {
  bool forth_ended = false;
  bool back_ended = false;
  boost::asio::co_spawn(context, note(std::move(forth), local, wan, forth_ended), boost::asio::detached);
  boost::asio::co_spawn(context, note(std::move(back), local, wan, back_ended), boost::asio::detached);
  context.poll();
  GODWIT_ASSERT(forth_ended && back_ended);
}

void hear_source(ByteView said, std::size_t piece) {
  Side side;
  EmptyCloud cloud;
  Arrivals arrivals{side.store, side.rapport, nullptr, false, "alice", 0, &cloud};
  boost::asio::io_context context{1};
  fuzz::ByteStream wan(said, piece);
  fuzz::ByteStream local(as_bytes("what QEMU answers"), piece);
  ShrinkDestination destination(context.get_executor(), arrivals, Channel::memory,
                                DestinationRoom::take(*arrivals.memory).value());
  run_both(context, destination.forth(wan, local), destination.back(local, wan), local, wan);
}

void hear_destination(ByteView said, std::size_t piece) {
  Side side;
  EmptyCloud cloud;
  Departure departure{side.store, side.rapport, nullptr, Places{}, wire::Savings{}};
  departure.siblings = &cloud;
  departure.tenant = "alice";
  departure.frames_version = kFramesVersion;
  StillClock clock;
  boost::asio::io_context context{1};
  std::uint64_t wan_bytes = 0;
  fuzz::ByteStream wan(said, piece);
  fuzz::ByteStream local(as_bytes("what QEMU says"), piece);
  ShrinkSource source(context.get_executor(), clock, departure, 1, Channel::memory,
                      SourceRoom::take(*departure.memory).value(), wan_bytes);
  run_both(context, source.forth(local, wan), source.back(wan, local), local, wan);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const bool source = input.byte() == 's';
  const std::size_t piece = 1U + input.byte();
  if (source) {
    hear_source(input.bytes(), piece);
  } else {
    hear_destination(input.bytes(), piece);
  }
  return 0;
}
