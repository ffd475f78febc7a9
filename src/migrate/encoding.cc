#include "migrate/encoding.h"

#include "wire/nbd_greeting.h"

#include <boost/asio/experimental/awaitable_operators.hpp>

namespace godwit::migrate {
namespace {

sys::Task<Result<>> copy(sys::Stream& from, sys::Stream& to, std::uint64_t& count) {
  ByteVector buffer(kHeldBack_bytes);
  for (;;) {
    const auto size = co_await from.read_some(buffer);
    if (!size && size.error().code == Errc::closed) co_return co_await to.shutdown_write();
    if (!size) co_return pass(size);
    const auto written = co_await to.write(ByteView(buffer).first(*size));
    if (!written) co_return written;
    count += *size;
  }
}

sys::Task<Result<>> copy_uncounted(sys::Stream& from, sys::Stream& to) {
  std::uint64_t count = 0;
  co_return co_await copy(from, to, count);
}

// The destination flushes its disk before it is prepared, and fails if it can't. So the mirror need not wait for
// flushes of its own, one round trip each, two of them while the guest stands still.
sys::Task<Result<>> answer_disk(sys::Stream& local, sys::Stream& wan) {
  wire::NbdGreeting greeting;
  ByteVector buffer(kHeldBack_bytes);
  for (;;) {
    const auto size = co_await local.read_some(buffer);
    if (!size && size.error().code == Errc::closed) co_return co_await wan.shutdown_write();
    if (!size) co_return pass(size);
    const auto part = std::span(buffer).first(*size);
    greeting.pass(part);
    const auto written = co_await wan.write(part);
    if (!written) co_return written;
  }
}

// One direction that has failed takes the other with it, whose failure then says nothing.
sys::Task<void> guard(sys::Task<Result<>> direction, sys::Stream& local, sys::Stream& wan, Result<>& first) {
  auto ended = co_await std::move(direction);
  if (ended) co_return;
  if (first) first = std::move(ended);
  local.close();
  wan.close();
}

}  // namespace

sys::Task<Result<>> carry_both(std::unique_ptr<sys::Stream> local, std::unique_ptr<sys::Stream> wan,
                               sys::Task<Result<>> forth, sys::Task<Result<>> back) {
  using namespace boost::asio::experimental::awaitable_operators;
  Result<> first;
  auto both = guard(std::move(forth), *local, *wan, first) && guard(std::move(back), *local, *wan, first);
  co_await std::move(both);
  co_return first;
}

sys::Task<Result<>> PlainEncoding::encode(Channel, sys::Stream& local, sys::Stream& wan, std::uint64_t& wan_bytes) {
  return copy(local, wan, wan_bytes);
}

sys::Task<Result<>> PlainEncoding::decode(Channel, sys::Stream& wan, sys::Stream& local) {
  return copy_uncounted(wan, local);
}

namespace {

class LeavingStreams final : public Transfer {
 public:
  explicit LeavingStreams(StreamEncoding& encoding) : encoding_(encoding) {}
  sys::Task<Result<>> carry(Channel channel, std::unique_ptr<sys::Stream> local,
                            std::unique_ptr<sys::Stream> wan) override {
    auto& count = channel == Channel::disk ? wan_bytes_.disk : wan_bytes_.memory;
    auto forth = encoding_.encode(channel, *local, *wan, count);
    auto back = copy_uncounted(*wan, *local);
    return carry_both(std::move(local), std::move(wan), std::move(forth), std::move(back));
  }
  wire::WanBytes wan_bytes() const override { return wan_bytes_; }

 private:
  StreamEncoding& encoding_;
  wire::WanBytes wan_bytes_;
};

class ArrivingStreams final : public Transfer {
 public:
  ArrivingStreams(StreamEncoding& encoding, bool flushes_cross) : encoding_(encoding), flushes_cross_(flushes_cross) {}
  sys::Task<Result<>> carry(Channel channel, std::unique_ptr<sys::Stream> local,
                            std::unique_ptr<sys::Stream> wan) override {
    auto forth = encoding_.decode(channel, *wan, *local);
    const bool flush_free = channel == Channel::disk && !flushes_cross_;
    auto back = flush_free ? answer_disk(*local, *wan) : copy_uncounted(*local, *wan);
    return carry_both(std::move(local), std::move(wan), std::move(forth), std::move(back));
  }
  wire::WanBytes wan_bytes() const override { return {}; }

 private:
  StreamEncoding& encoding_;
  bool flushes_cross_;
};

}  // namespace

std::unique_ptr<Transfer> StreamEncoding::leave(TransferSpec) { return std::make_unique<LeavingStreams>(*this); }
std::unique_ptr<Transfer> StreamEncoding::arrive(TransferSpec spec) {
  return std::make_unique<ArrivingStreams>(*this, spec.flushes_cross);
}

}  // namespace godwit::migrate
