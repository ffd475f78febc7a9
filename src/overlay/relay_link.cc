#include "overlay/relay_link.h"

#include <algorithm>

namespace godwit::overlay {

RelayLink::RelayLink(const sys::Executor& executor, sys::Clock& clock, Seal& seal, std::size_t relay, Dial dial,
                     Log log)
    : executor_(executor),
      clock_(clock),
      seal_(seal),
      relay_(relay),
      dial_(std::move(dial)),
      log_(std::move(log)),
      wish_(executor),
      gate_(executor) {}

void RelayLink::start(Receive receive, std::function<void()> changed) {
  receive_ = std::move(receive);
  changed_ = std::move(changed);
  gate_.spawn(run());
}

sys::Task<void> RelayLink::stop() { co_await gate_.close(); }

void RelayLink::take_note() {
  wanted_ = seal_.wants_relay_connection(relay_);
  wish_.notify();
}

void RelayLink::tell(bool connected) {
  if (std::exchange(told_connected_, connected) == connected) return;
  seal_.on_relay_connection(clock_.now(), relay_, connected);
  changed_();
}

sys::Task<void> RelayLink::run() {
  Nanos pause = kFirstPause;
  for (;;) {
    if (!wanted_) {
      co_await wish_.wait();
      continue;
    }
    auto dialling = dial_();
    auto dialled = co_await sys::within(clock_, kDialLimit, "dial the relay", std::move(dialling));
    if (dialled) {
      pause = kFirstPause;
      log_.info("UDP does not lead to the relay: by TCP from now on");
      co_await use(std::make_shared<DatagramStream>(executor_, std::move(*dialled)));
    } else {
      log_.debug("{}", dialled.error().message);
    }
    co_await clock_.sleep_for(pause);
    pause = std::min<Nanos>(2 * pause, kLongestPause);
  }
}

sys::Task<void> RelayLink::use(std::shared_ptr<DatagramStream> stream) {
  stream_ = stream;
  gate_.spawn(write(stream));
  gate_.spawn(end_when_not_wanted(stream));
  tell(true);
  const auto from = relayed_endpoint({RelayedKind::connection, 1, static_cast<std::uint8_t>(relay_)});
  ByteVector datagram;
  for (;;) {
    auto reading = stream->read(datagram);
    const auto got = co_await sys::within(clock_, kIdle, "the relay's connection", std::move(reading));
    if (!got) {
      log_.debug("{}", got.error().message);
      break;
    }
    receive_(from, datagram);
  }
  stream->close();
  stream_.reset();
  wish_.notify();
  tell(false);
}

sys::Task<void> RelayLink::write(std::shared_ptr<DatagramStream> stream) { co_await stream->write_all(); }

sys::Task<void> RelayLink::end_when_not_wanted(std::shared_ptr<DatagramStream> stream) {
  while (stream_ == stream && wanted_) co_await wish_.wait();
  if (stream_ != stream) co_return;
  log_.info("UDP leads to the relay again");
  tell(false);
  co_await clock_.sleep_for(kFarewell);
  stream->close();
}

void RelayLink::send(const sys::OutPacket& packet) {
  if (!stream_) return;
  const auto each = packet.segment == 0 ? packet.bytes.size() : packet.segment;
  for (auto rest = packet.bytes; !rest.empty();) {
    const auto size = std::min(each, rest.size());
    stream_->post(rest.first(size));
    rest = rest.subspan(size);
  }
}

}  // namespace godwit::overlay
