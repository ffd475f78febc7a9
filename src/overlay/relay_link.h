// A host's connection to one of its relays where UDP leads nowhere: dialled when the underlay wants it, given up when
// UDP is answered again. docs/protocols/relay.md.
#pragma once

#include "base/log.h"
#include "overlay/datagram_stream.h"
#include "overlay/seal.h"

#include <functional>

namespace godwit::overlay {

// One strand.
class RelayLink {
 public:
  static constexpr Seconds kDialLimit{10};
  static constexpr Seconds kFirstPause{1};  // after a dial that failed; doubled, up to
  static constexpr Seconds kLongestPause{60};
  static constexpr Seconds kIdle{30};  // nothing came: the relay's answers to hello come three times as often
  // UDP is used again, and the relay knows: then the connection goes.
  static constexpr Seconds kFarewell{1};

  // A stream to the relay, its TLS done.
  using Dial = std::function<sys::Task<Result<std::unique_ptr<sys::Stream>>>()>;

  // `relay`: which of the underlay's it is. What is borrowed outlives it.
  RelayLink(const sys::Executor& executor, sys::Clock& clock, Seal& seal, std::size_t relay, Dial dial, Log log);

  // `receive` gets each datagram that comes, altered as it likes; `changed` is called when the connection stands, or
  // doesn't any more: the seal then has something to say.
  using Receive = std::function<void(const sys::UdpEndpoint& from, ByteSpan datagram)>;
  void start(Receive receive, std::function<void()> changed);
  [[nodiscard]] sys::Task<void> stop();

  // The underlay has been polled: it may want something else. Cheap.
  void attend() {
    if (seal_.wants_relay_connection(relay_) != wanted_) take_note();
  }
  // Datagrams for the connection; dropped while there is none.
  void send(const sys::OutPacket& packet);
  [[nodiscard]] std::size_t relay() const { return relay_; }

 private:
  void take_note();
  [[nodiscard]] sys::Task<void> run();
  [[nodiscard]] sys::Task<void> use(std::shared_ptr<DatagramStream> stream);
  [[nodiscard]] sys::Task<void> write(std::shared_ptr<DatagramStream> stream);
  [[nodiscard]] sys::Task<void> end_when_not_wanted(std::shared_ptr<DatagramStream> stream);
  void tell(bool connected);

  sys::Executor executor_;
  sys::Clock& clock_;
  Seal& seal_;
  std::size_t relay_;
  Dial dial_;
  Log log_;
  Receive receive_;
  std::function<void()> changed_;
  bool wanted_{false};
  bool told_connected_{false};
  sys::Signal wish_;
  std::shared_ptr<DatagramStream> stream_;  // shared with the coroutines that read and write it
  sys::Gate gate_;
};

}  // namespace godwit::overlay
