#include "sim/fake_qemu.h"

#include <charconv>

namespace godwit::simtest {
namespace {

constexpr Millis kTick{5};                        // of the guest, and of everything that looks again
constexpr std::size_t kDiskBytes = 512UL * 1024;  // allocated when the mirror begins
constexpr std::size_t kMemoryBytes = 1024UL * 1024;
constexpr std::size_t kPart = 64UL * 1024;
constexpr std::size_t kDeviceBytes = 40'000;
constexpr std::byte kAcknowledged{1};
// What comes over a memory connection: one byte that says what, then so much of it.
constexpr std::byte kPages{1};
constexpr std::byte kDevices{2};
constexpr std::byte kDevicesFirst{3};  // pages follow
constexpr std::byte kEnd{4};

ByteVector memory_of(std::byte what, std::size_t size, std::uint64_t count = 0) {
  ByteVector bytes{what};
  append_be64(bytes, count);
  bytes.resize(1 + size);
  return bytes;
}

// One write over the mirror: the count that the disk then has, and so much data.
ByteVector write_of(std::uint64_t count, std::size_t size) {
  ByteVector bytes;
  append_be64(bytes, count);
  append_be32(bytes, static_cast<std::uint32_t>(size));
  bytes.resize(bytes.size() + size);
  return bytes;
}

sys::Task<Result<>> exchange(sys::Stream& stream, ByteVector request) {
  const auto written = co_await stream.write(request);
  if (!written) co_return written;
  ByteVector reply(1);
  co_return co_await sys::read_exactly(stream, reply);
}

}  // namespace

FakeQemu::FakeQemu(sim::Process& process, Oracle& oracle, std::string directory, bool incoming)
    : process_(process),
      runtime_(process.runtime()),
      oracle_(oracle),
      directory_(std::move(directory)),
      jobs_(std::make_unique<sys::Gate>(runtime_.executor)),
      serving_(std::make_unique<sys::Gate>(runtime_.executor)),
      gate_(runtime_.executor) {
  gate_.spawn(guest());
  if (!incoming) {
    run(true);
    return;
  }
  auto disk_listener = runtime_.local.listen(directory_ + "/disk.sock", 0600, 0);
  auto memory_listener = runtime_.local.listen(directory_ + "/memory.sock", 0600, 0);
  if (!disk_listener || !memory_listener) return;
  serving_->spawn(serve_disk(std::move(*disk_listener)));
  gate_.spawn(load_memory(std::move(*memory_listener)));
}

FakeQemu::~FakeQemu() { run(false); }

// ---- the guest

void FakeQemu::run(bool yes) {
  if (running_ == yes) return;
  running_ = yes;
  oracle_.running += yes ? 1 : -1;
  process_.world().trace(process_.host().name() + (yes ? ": vCPUs run" : ": vCPUs stand still"));
  if (!yes) return;
  if (oracle_.running > 1) oracle_.blame("two copies run");
  if (disk_count() < oracle_.acknowledged) {
    oracle_.blame(fmt::format("a guest runs on a disk with {} writes where {} were acknowledged", disk_count(),
                              oracle_.acknowledged));
  }
}

sys::Task<void> FakeQemu::guest() {
  for (;;) {
    if (running_ && memory != Status::lost) {  // else it waits for a page
      ++memory_count_;
      // A write and its flush: acknowledged when it is on disk.
      write_disk(disk_count() + 1);
      const auto flushed = process_.host().files().sync_file(disk_path(directory_));
      if (flushed) oracle_.acknowledged = std::max(oracle_.acknowledged, disk_count());
    }
    co_await runtime_.clock.sleep_for(kTick);
  }
}

std::uint64_t FakeQemu::disk_count() const {
  const auto text = process_.host().files().read(disk_path(directory_), 64);
  std::uint64_t count = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), count);
  return count;
}

void FakeQemu::write_disk(std::uint64_t count) {
  process_.host().files().write_cached(disk_path(directory_), std::to_string(count));
}

// ---- as the source

void FakeQemu::start_disk(std::string socket) {
  disk = Status::active;
  disk_wanted_ = true;
  jobs_->spawn(mirror(std::move(socket)));
}

sys::Task<void> FakeQemu::mirror(std::string socket) {
  const auto mirrored = co_await mirror_to(std::move(socket));
  disk = mirrored ? Status::completed : Status::failed;
}

sys::Task<Result<>> FakeQemu::mirror_to(std::string socket) {
  auto stream = co_await runtime_.local.dial(std::move(socket));
  if (!stream) co_return pass(stream);
  for (std::size_t sent = 0; sent < kDiskBytes; sent += kPart) {
    const auto written = co_await exchange(**stream, write_of(0, kPart));
    if (!written) co_return written;
    sent_bytes += kPart;
  }
  std::uint64_t mirrored = 0;
  disk = Status::paused;  // it follows
  for (;;) {
    const auto count = disk_count();
    if (count != mirrored) {
      const auto written = co_await exchange(**stream, write_of(count, 4096));
      if (!written) co_return written;
      mirrored = count;
      continue;
    }
    if (!disk_wanted_) co_return Result<>{};  // drained; whoever asked has paused the guest before
    co_await runtime_.clock.sleep_for(kTick);
  }
}

void FakeQemu::start_memory(std::string socket) {
  memory = Status::active;
  continue_ = post_copy_ = false;
  rounds = 0;
  jobs_->spawn(send_memory(std::move(socket)));
}

sys::Task<void> FakeQemu::send_memory(std::string socket) {
  const auto sent = co_await send_memory_to(std::move(socket));
  if (!sent && memory == Status::in_part) {
    memory = Status::lost;
    frozen_ = false;
    co_return;
  }
  memory = sent ? Status::completed : Status::failed;
  if (!sent && frozen_) run(true);  // as QEMU does
  frozen_ = false;
}

sys::Task<Result<>> FakeQemu::send_memory_to(std::string socket) {
  auto stream = co_await runtime_.local.dial(std::move(socket));
  if (!stream) co_return pass(stream);
  do {
    const auto round = co_await send_round(stream->get());
    if (!round) co_return round;
  } while (oracle_.restless && !post_copy_);
  run(false);
  frozen_ = true;
  memory = Status::paused;
  while (!continue_) co_await runtime_.clock.sleep_for(kTick);
  if (!post_copy_) {
    auto devices = memory_of(kDevices, kDeviceBytes, memory_count_);
    co_return co_await exchange(**stream, std::move(devices));  // the return path says that it is loaded
  }
  const auto devices = memory_of(kDevicesFirst, kDeviceBytes, memory_count_);
  const auto written = co_await (*stream)->write(devices);
  if (!written) co_return written;
  memory = Status::in_part;
  const auto rest = co_await send_round(stream->get());
  if (!rest) co_return rest;
  auto end = memory_of(kEnd, kPart);
  co_return co_await exchange(**stream, std::move(end));
}

sys::Task<Result<>> FakeQemu::send_round(sys::Stream* stream) {
  ++rounds;
  const auto part = memory_of(kPages, kPart);
  for (std::size_t sent = 0; sent < kMemoryBytes; sent += kPart) {
    const auto written = co_await stream->write(part);
    if (!written) co_return written;
    sent_bytes += kPart;
    if (oracle_.restless) co_await runtime_.clock.sleep_for(4 * kTick);
  }
  co_return Result<>{};
}

void FakeQemu::resume() {
  if (memory == Status::lost) {
    process_.kill();
    return;
  }
  // The jobs end where they stand; their connections with them.
  jobs_->cancel();
  jobs_ = std::make_unique<sys::Gate>(runtime_.executor);
  disk = Status::none;
  memory = Status::none;
  frozen_ = false;
  run(true);
}

// ---- as the destination

sys::Task<void> FakeQemu::serve_disk(std::unique_ptr<sys::Listener> listener) {
  auto stream = co_await listener->accept();
  if (!stream) co_return;
  for (;;) {
    ByteVector head(12);
    const auto read = co_await sys::read_exactly(**stream, head);
    if (!read) co_return;
    ByteVector data(load_be32(ByteView(head).subspan(8)));
    const auto body = co_await sys::read_exactly(**stream, data);
    if (!body) co_return;
    const auto count = load_be64(head);
    if (count != 0) write_disk(count);
    const ByteVector reply(1, kAcknowledged);
    const auto replied = co_await (*stream)->write(reply);
    if (!replied) co_return;
  }
}

void FakeQemu::stop_serving() {
  serving_->cancel();
  serving_ = std::make_unique<sys::Gate>(runtime_.executor);
}

sys::Task<void> FakeQemu::load_memory(std::unique_ptr<sys::Listener> listener) {
  auto stream = co_await listener->accept();
  if (!stream) co_return;
  const auto loaded = co_await load_from(std::move(*stream));
  if (!loaded && memory == Status::in_part) {
    memory = Status::lost;
    co_return;
  }
  memory = loaded ? Status::completed : Status::failed;
  if (!loaded) process_.kill();  // as QEMU does
}

sys::Task<Result<>> FakeQemu::load_from(std::unique_ptr<sys::Stream> stream) {
  for (bool more = true; more;) {
    ByteVector what(1);
    auto read = co_await sys::read_exactly(*stream, what);
    if (!read) co_return read;
    const bool devices = what[0] == kDevices || what[0] == kDevicesFirst;
    ByteVector body(kPart);
    if (devices) body.resize(kDeviceBytes);
    read = co_await sys::read_exactly(*stream, body);
    if (!read) co_return read;
    if (devices) memory_count_ = load_be64(body);
    if (what[0] == kDevicesFirst) memory = Status::in_part;
    more = what[0] == kPages || what[0] == kDevicesFirst;
  }
  const ByteVector loaded(1, kAcknowledged);
  co_return co_await stream->write(loaded);
}

void FakeQemu::start() { run(true); }

}  // namespace godwit::simtest
