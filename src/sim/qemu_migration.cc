#include "sim/qemu_migration.h"

#include <algorithm>

namespace godwit::sim {
namespace {

constexpr std::uint64_t kMagic = 0x51'45'56'4d'73'69'6d'31;         // "QEVMsim1"
enum Kind : std::uint8_t { kPages = 1, kDevices, kPackage, kEnd };  // a package: devices before the rest of the pages
constexpr std::uint64_t kPartBytes = 64UL * 1024;
constexpr std::size_t kFrameLimit = 1024UL * 1024;
constexpr std::size_t kPageBytes = 4096;
constexpr std::byte kLoaded{1};
// What the guest remembers, whether it has booted, the queue pairs of its network device; then anything.
constexpr std::size_t kDevicesBytes = 10;
constexpr Millis kBottomHalf{1};  // between the word that it has failed and the vCPUs that run again

ByteVector frame_of(Kind kind, ByteVector data) {
  ByteVector frame{static_cast<std::byte>(kind)};
  append_be32(frame, static_cast<std::uint32_t>(data.size()));
  append(frame, data);
  return frame;
}

std::unexpected<Error> cancelled() { return fail(Errc::cancelled, "cancelled"); }

}  // namespace

// ---- at the source

QemuOutgoing::QemuOutgoing(QemuCore& core, MigrationParameters& parameters, std::function<void()> drained)
    : core_(core),
      parameters_(parameters),
      drained_(std::move(drained)),
      news_(core.runtime().executor),
      gate_(core.runtime().executor) {}

void QemuOutgoing::become(const std::string& status) {
  status_ = status;
  core_.migration_event(status);
}

bool QemuOutgoing::under_way() const {
  return !status_.empty() && status_ != "completed" && status_ != "failed" && status_ != "cancelled";
}

Result<> QemuOutgoing::start(const std::string& socket) {
  if (core_.runstate == "inmigrate") return fail(Errc::conflict, "Guest is waiting for an incoming migration");
  if (under_way()) return fail(Errc::conflict, "There's a migration process in progress");
  ++attempt_;
  passes_ = remaining_ = sent_ = 0;
  ran_before_ = continue_ = cancelled_ = failed_on_disk_ = false;
  post_copy_wanted_ = post_copying_ = handed_over_ = false;
  post_copy_bytes_ = 0;
  become("setup");
  gate_.spawn(migrate(socket));
  return {};
}

Result<> QemuOutgoing::go_on(const std::string& from) {
  if (status_ != from || status_ != "pre-switchover") {
    return fail(Errc::conflict, "Migration not in expected state: {}", status_.empty() ? "none" : status_);
  }
  continue_ = true;
  become(post_copying_ ? "postcopy-active" : "device");
  news_.notify();
  return {};
}

Result<> QemuOutgoing::start_post_copy() {
  if (!parameters_.post_copy) {
    return fail(Errc::conflict, "Enable postcopy with migrate_set_capability before the start of migration");
  }
  if (status_.empty()) return fail(Errc::conflict, "Start postcopy after migration has been started");
  post_copy_wanted_ = true;
  news_.notify();
  return {};
}

void QemuOutgoing::cancel() {
  if (!under_way() || cancelled_) return;
  cancelled_ = true;
  become("cancelling");
  if (stream_) stream_->close();
  news_.notify();
}

sys::Task<void> QemuOutgoing::migrate(std::string socket) {
  auto stream = co_await core_.runtime().local.dial(std::move(socket));
  if (!stream) {
    become("failed");
    co_return;
  }
  stream_ = std::move(*stream);
  const auto sent = co_await send(stream_);
  if (!sent && handed_over_ && !cancelled_) {
    become("postcopy-paused");
    stream_->close();
    co_return;
  }
  co_await finish(sent);
}

sys::Task<void> QemuOutgoing::finish(Result<> sent) {
  const auto stream = std::move(stream_);
  if (sent) {
    core_.runstate = "postmigrate";
    core_.disk.unlock();
    become("completed");
    co_return;
  }
  core_.runtime().log.debug("migration: {}", sent.error().message);
  if (failed_on_disk_) {
    // QEMU's own end stays open, and is a trap for the next attempt.
    gate_.spawn(linger(stream, attempt_));
  } else {
    stream->close();
  }
  const bool was_cancelled = cancelled_;
  if (!was_cancelled) {
    become("failed");
    co_await core_.clock().sleep_for(kBottomHalf);
  }
  if (ran_before_) core_.run();
  if (core_.runstate == "finish-migrate") core_.runstate = "postmigrate";  // it stood still before
  if (was_cancelled) become("cancelled");
}

sys::Task<void> QemuOutgoing::linger(std::shared_ptr<sys::Stream> stream, int attempt) {
  ByteVector byte(1);
  const auto read = co_await stream->read_some(byte);
  if (!read && attempt != attempt_) core_.die("Segmentation fault");
}

sys::Task<Result<>> QemuOutgoing::send(std::shared_ptr<sys::Stream> stream) {
  ByteVector magic;
  append_be64(magic, kMagic);
  const auto begun = co_await stream->write(magic);
  if (!begun) co_return begun;
  become("active");
  const auto rounds = co_await send_rounds(stream);
  if (!rounds) co_return rounds;
  const auto paused = co_await pause();
  if (!paused) co_return paused;
  co_return co_await send_rest(stream);
}

// Until what is left fits the downtime at the rate that was seen.
sys::Task<Result<>> QemuOutgoing::send_rounds(std::shared_ptr<sys::Stream> stream) {
  const auto& settings = core_.settings;
  remaining_ = settings.memory_bytes;
  for (;;) {
    json::object pass{{"pass", ++passes_}};
    core_.event("MIGRATION_PASS", std::move(pass));
    const auto began = core_.clock().now();
    const auto size = remaining_;
    const auto sent = co_await send_pages(stream, size);
    if (!sent) co_return sent;
    const double seconds = std::max(to_s(core_.clock().now() - began), 1e-9);
    const double dirtied = core_.running() ? static_cast<double>(settings.dirty_bytes_per_s) * seconds : 0;
    if (post_copy_wanted_) {
      remaining_ = std::min(settings.memory_bytes, remaining_ + static_cast<std::uint64_t>(dirtied));
      post_copying_ = true;
      co_return Result<>{};
    }
    remaining_ = std::min(settings.memory_bytes, static_cast<std::uint64_t>(dirtied));
    const double fits = static_cast<double>(size) / seconds * static_cast<double>(parameters_.downtime_limit_ms) / 1e3;
    if (static_cast<double>(remaining_) <= fits) co_return Result<>{};
  }
}

sys::Task<Result<>> QemuOutgoing::send_pages(std::shared_ptr<sys::Stream> stream, std::uint64_t bytes) {
  for (auto left = bytes; left > 0;) {
    if (cancelled_) co_return cancelled();
    if (post_copy_wanted_ && !post_copying_ && status_ == "active") co_return Result<>{};
    const auto part = std::min(left, kPartBytes);
    const auto frame = frame_of(kPages, ByteVector(part));
    const auto written = co_await stream->write(frame);
    if (!written) co_return written;
    left -= part;
    sent_ += part;
    remaining_ = left;
    if (handed_over_) post_copy_bytes_ += part;
    auto rate = std::min(core_.settings.copy_bytes_per_s, parameters_.max_bytes_per_s);
    if (handed_over_) rate = parameters_.max_post_copy_bytes_per_s;
    if (rate == 0) rate = core_.settings.copy_bytes_per_s;
    co_await wait_for(Nanos{static_cast<std::int64_t>(part * 1'000'000'000 / rate)});
  }
  co_return Result<>{};
}

sys::Task<void> QemuOutgoing::wait_for(Nanos span) {
  const auto deadline = core_.clock().now() + span;
  while (!cancelled_ && core_.clock().now() < deadline) co_await news_.wait_until(core_.clock(), deadline);
}

sys::Task<Result<>> QemuOutgoing::pause() {
  ran_before_ = core_.running() && !post_copying_;
  core_.halt("finish-migrate");
  drained_();
  {
    const MainLoop::Hold hold(core_.loop);
    const auto flushed = co_await core_.flush_all();
    failed_on_disk_ = !flushed;
    if (!flushed) co_return flushed;
  }
  if (!parameters_.pause_before_switchover) {
    become("device");
    co_return Result<>{};
  }
  become("pre-switchover");
  while (!continue_ && !cancelled_) co_await news_.wait();
  if (cancelled_) co_return cancelled();
  co_return Result<>{};
}

ByteVector QemuOutgoing::devices() const {
  ByteVector devices;
  append_be64(devices, core_.remembered());
  devices.push_back(static_cast<std::byte>(core_.booted));
  devices.push_back(static_cast<std::byte>(core_.line.queue_pairs));
  devices.resize(std::max<std::size_t>(devices.size(), core_.settings.device_bytes));
  return devices;
}

sys::Task<Result<>> QemuOutgoing::send_post_copy(std::shared_ptr<sys::Stream> stream) {
  json::object pass{{"pass", ++passes_}};
  core_.event("MIGRATION_PASS", std::move(pass));
  core_.disk.unlock();
  {
    const MainLoop::Hold hold(core_.loop);
    const auto package = frame_of(kPackage, devices());
    const auto written = co_await stream->write(package);
    if (!written) co_return written;
  }
  handed_over_ = true;
  const auto pages = co_await send_pages(stream, remaining_);
  if (!pages) co_return pages;
  const auto end = frame_of(kEnd, {});
  const auto written = co_await stream->write(end);
  if (!written) co_return written;
  ByteVector loaded(1);
  const auto answered = co_await sys::read_exactly(*stream, loaded);
  if (answered && cancelled_) co_return cancelled();
  co_return answered;
}

sys::Task<Result<>> QemuOutgoing::send_rest(std::shared_ptr<sys::Stream> stream) {
  if (post_copying_) co_return co_await send_post_copy(std::move(stream));
  const auto frame = frame_of(kDevices, devices());
  json::object pass{{"pass", ++passes_}};
  core_.event("MIGRATION_PASS", std::move(pass));
  {
    const MainLoop::Hold hold(core_.loop);  // while it writes; not while it waits for the answer
    const auto pages = co_await send_pages(stream, remaining_);
    if (!pages) co_return pages;
    const auto written = co_await stream->write(frame);
    if (!written) co_return written;
  }
  if (!parameters_.return_path) co_return Result<>{};
  ByteVector loaded(1);
  const auto answered = co_await sys::read_exactly(*stream, loaded);
  if (answered && cancelled_) co_return cancelled();
  co_return answered;
}

json::object QemuOutgoing::describe() const {
  if (status_.empty()) return {};
  json::object told{{"status", status_}};
  if (status_ == "failed" || status_ == "cancelled" || status_ == "setup") return told;
  told["ram"] = json::object{{"total", core_.settings.memory_bytes},
                             {"remaining", remaining_},
                             {"transferred", sent_},
                             {"dirty-sync-count", passes_},
                             {"dirty-pages-rate", core_.settings.dirty_bytes_per_s / kPageBytes},
                             {"page-size", kPageBytes},
                             {"postcopy-bytes", post_copy_bytes_}};
  return told;
}

// ---- at the destination

QemuIncoming::QemuIncoming(QemuCore& core) : core_(core), gate_(core.runtime().executor) {}

void QemuIncoming::become(const std::string& status) {
  status_ = status;
  core_.migration_event(status);
}

Result<> QemuIncoming::start(const std::string& socket) {
  if (started()) return fail(Errc::conflict, "The incoming migration has already been started");
  if (!core_.line.incoming) return fail(Errc::conflict, "'-incoming' was not specified on the command line");
  auto listener = core_.runtime().local.listen(socket, 0600, 0);
  if (!listener) return pass(listener);
  socket_ = socket;
  core_.migration_event("setup");
  gate_.spawn(load(std::move(*listener)));
  return {};
}

sys::Task<void> QemuIncoming::load(std::unique_ptr<sys::Listener> listener) {
  const auto stream = co_await listener->accept();
  listener->close();
  if (!stream) co_return;
  become("active");
  auto loaded = co_await load_from(stream->get());
  if (loaded) loaded = core_.activate_disk();
  if (!loaded) {
    become("failed");
    core_.die("load of migration failed: " + loaded.error().message);
    co_return;
  }
  core_.disk.load();
  if (in_part_) {
    become("postcopy-active");
    core_.runstate = "paused";
    if (core_.autostart) core_.run();
    const auto rest = co_await load_rest(stream->get());
    if (!rest) {
      // It waits for another connection; a guest that runs waits for a page soon, and the main loop with it.
      become("postcopy-paused");
      core_.lacks_pages = true;
      if (core_.running()) deaf_ = std::make_unique<MainLoop::Hold>(core_.loop);
      co_return;
    }
  }
  // What became of the answer is the source's concern: here all is loaded.
  const ByteVector answer(1, kLoaded);
  const auto answered = co_await (*stream)->write(answer);
  if (!answered) core_.runtime().log.debug("return path: {}", answered.error().message);
  become("completed");
  if (in_part_) co_return;
  core_.runstate = "paused";
  if (core_.autostart) core_.run();
}

sys::Task<Result<>> QemuIncoming::load_rest(sys::Stream* stream) {
  for (;;) {
    ByteVector head(5);
    const auto read = co_await sys::read_exactly(*stream, head);
    if (!read) co_return read;
    if (head[0] == static_cast<std::byte>(kEnd)) co_return Result<>{};
    const auto size = load_be32(ByteView(head).subspan(1));
    if (size > kFrameLimit) co_return fail(Errc::protocol, "Invalid argument");
    ByteVector data(size);
    const auto body = co_await sys::read_exactly(*stream, data);
    if (!body) co_return body;
  }
}

sys::Task<Result<>> QemuIncoming::load_from(sys::Stream* stream) {
  const auto io_error = [] { return fail(Errc::io, "Input/output error"); };
  ByteVector magic(8);
  const auto begun = co_await sys::read_exactly(*stream, magic);
  if (!begun) co_return io_error();
  if (load_be64(magic) != kMagic) co_return fail(Errc::protocol, "Invalid argument");
  for (;;) {
    ByteVector head(5);
    const auto read = co_await sys::read_exactly(*stream, head);
    if (!read) co_return io_error();
    const auto size = load_be32(ByteView(head).subspan(1));
    if (size > kFrameLimit) co_return fail(Errc::protocol, "Invalid argument");
    ByteVector data(size);
    const auto body = co_await sys::read_exactly(*stream, data);
    if (!body) co_return io_error();
    if (head[0] == static_cast<std::byte>(kPages)) continue;
    in_part_ = head[0] == static_cast<std::byte>(kPackage);
    const bool devices = in_part_ || head[0] == static_cast<std::byte>(kDevices);
    if (!devices || size < kDevicesBytes) co_return fail(Errc::protocol, "Invalid argument");
    if (const auto pairs = std::to_integer<unsigned>(data[9]); pairs != core_.line.queue_pairs) {
      co_return fail(Errc::protocol, "{} != {}: error while loading state of device 'virtio-net'",
                     core_.line.queue_pairs, pairs);
    }
    core_.remember(load_be64(data));
    core_.booted = data[8] != std::byte{0};
    co_return Result<>{};
  }
}

json::object QemuIncoming::describe() const {
  if (!started()) return {};
  json::object told;
  if (!status_.empty()) told["status"] = status_;
  if (status_ == "completed") return told;
  json::array addresses;
  addresses.emplace_back(json::object{{"path", socket_}, {"type", "unix"}});
  told["socket-address"] = std::move(addresses);
  return told;
}

}  // namespace godwit::sim
