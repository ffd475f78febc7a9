#include "sim/qemu_nbd.h"

namespace godwit::sim {
namespace {

enum Operation : std::uint8_t { kOpen = 1, kWrite, kFlush };
constexpr std::size_t kHeadBytes = 13;
constexpr std::size_t kDataLimit = 1024UL * 1024;
constexpr std::byte kDone{1};
constexpr std::byte kRefused{2};

ByteVector request_of(Operation operation, std::uint64_t record, ByteVector data) {
  ByteVector bytes{static_cast<std::byte>(operation)};
  append_be64(bytes, record);
  append_be32(bytes, static_cast<std::uint32_t>(data.size()));
  append(bytes, data);
  return bytes;
}

std::unexpected<Error> io_error() { return fail(Errc::io, "Input/output error"); }

}  // namespace

sys::Task<Result<std::unique_ptr<NbdTarget>>> NbdTarget::open(sys::Runtime& runtime, std::string path,
                                                              std::string name) {
  auto stream = co_await runtime.local.dial(path);
  if (!stream) co_return fail(Errc::io, "Failed to connect to '{}': No such file or directory", path);
  ByteVector word(as_bytes(name).begin(), as_bytes(name).end());
  const auto request = request_of(kOpen, 0, std::move(word));
  const auto sent = co_await (*stream)->write(request);
  ByteVector reply(1);
  const auto answered = co_await sys::read_exactly(**stream, reply);
  if (!sent || !answered) {
    co_return fail(Errc::io, "Failed to read initial magic: Unexpected end-of-file before all data were read");
  }
  if (reply[0] != kDone) co_return fail(Errc::io, "Requested export not available");
  co_return std::unique_ptr<NbdTarget>(new NbdTarget(runtime, std::move(*stream)));
}

sys::Task<Result<>> NbdTarget::write(std::uint64_t record, std::size_t size) {
  return exchange(request_of(kWrite, record, ByteVector(size)));
}

sys::Task<Result<>> NbdTarget::flush() { return exchange(request_of(kFlush, 0, {})); }

sys::Task<Result<>> NbdTarget::exchange(ByteVector request) {
  while (busy_) co_await freed_.wait();
  if (broken_) co_return io_error();
  struct Busy {
    NbdTarget& target;
    explicit Busy(NbdTarget& t) : target(t) { target.busy_ = true; }
    ~Busy() {
      target.busy_ = false;
      target.freed_.notify();
    }
  } const busy(*this);
  const auto sent = co_await stream_->write(request);
  ByteVector reply(1);
  bool done = false;
  if (sent) {
    const auto answered = co_await sys::read_exactly(*stream_, reply);
    done = answered && reply[0] == kDone;
  }
  if (!done) {
    broken_ = true;  // it is not made again
    co_return io_error();
  }
  co_return Result<>{};
}

NbdServer::NbdServer(sys::Runtime& runtime, QemuDisk& disk) : runtime_(runtime), disk_(disk) {}

Result<> NbdServer::start(const std::string& path) {
  auto listener = runtime_.local.listen(path, 0600, 0);
  if (!listener) return pass(listener);
  listener_ = std::move(*listener);
  gate_ = std::make_unique<sys::Gate>(runtime_.executor);
  gate_->spawn(serve(listener_));
  return {};
}

void NbdServer::stop() {
  if (!gate_) return;
  listener_->close();
  gate_->cancel();
  gate_.reset();
  listener_.reset();
  export_.clear();
}

sys::Task<void> NbdServer::serve(std::shared_ptr<sys::Listener> listener) {
  for (;;) {
    auto client = co_await listener->accept();
    if (!client) co_return;
    const auto served = co_await serve_one(std::move(*client));
    runtime_.log.debug("NBD client: {}", served.error().message);
  }
}

sys::Task<Result<>> NbdServer::serve_one(std::unique_ptr<sys::Stream> client) {
  bool open = false;
  for (;;) {
    ByteVector head(kHeadBytes);
    auto read = co_await sys::read_exactly(*client, head);
    if (!read) co_return read;
    const auto operation = static_cast<std::uint8_t>(head[0]);
    const auto record = load_be64(ByteView(head).subspan(1));
    const auto size = load_be32(ByteView(head).subspan(9));
    if (size > kDataLimit) co_return fail(Errc::protocol, "a request of {} bytes", size);
    ByteVector data(size);
    read = co_await sys::read_exactly(*client, data);
    if (!read) co_return read;
    bool done = open;
    if (operation == kOpen) done = open = !export_.empty() && as_text(data) == export_;
    if (operation == kWrite && open) disk_.write(record);
    if (operation == kFlush && open) done = disk_.flush().has_value();
    const ByteVector reply(1, done ? kDone : kRefused);
    const auto replied = co_await client->write(reply);
    if (!replied) co_return replied;
  }
}

}  // namespace godwit::sim
