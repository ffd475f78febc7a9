// `godwit relay` as an actor on the seams: a Relay between a UDP socket and TCP connections, whose streams carry
// u16 length (big-endian), datagram. docs/protocols/relay.md.
#pragma once

#include "base/log.h"
#include "overlay/datagram_stream.h"
#include "overlay/relay.h"
#include "sys/stream.h"
#include "sys/task.h"

#include <map>
#include <memory>

namespace godwit::overlay {

struct RelayServiceCounters {
  std::uint64_t connections{0};  // accepted
  std::uint64_t turned_away{0};  // more connections than kMostConnections
  std::uint64_t queue_full{0};   // datagrams dropped because a connection takes them too slowly
};

class RelayService {
 public:
  static constexpr std::size_t kMostConnections = 1024;
  static constexpr Seconds kConnectionIdle{90};  // nothing came: it is closed

  // All borrowed, and outlive it.
  RelayService(const sys::Executor& executor, sys::Clock& clock, sys::PacketIo& packets, Relay& relay, Log log);
  ~RelayService();

  void start();
  // A connection whose TLS is done. It is served until it ends.
  void serve(std::unique_ptr<sys::Stream> stream);
  [[nodiscard]] sys::Task<void> stop();
  // Prometheus' text format.
  [[nodiscard]] std::string metrics() const;

 private:
  struct Connection {
    Connection(std::uint32_t number_, const sys::Executor& executor, std::unique_ptr<sys::Stream> stream)
        : number(number_), datagrams(executor, std::move(stream)) {}
    std::uint32_t number;
    DatagramStream datagrams;
  };

  [[nodiscard]] sys::Task<void> move_packets();
  [[nodiscard]] sys::Task<void> keep_time();
  [[nodiscard]] sys::Task<void> read(std::shared_ptr<Connection> connection);
  [[nodiscard]] sys::Task<void> write(std::shared_ptr<Connection> connection);
  void flush();
  void to_connection(std::uint32_t number, ByteView datagram);

  sys::Executor executor_;
  sys::Clock& clock_;
  sys::PacketIo& packets_;
  Relay& relay_;
  Log log_;
  RelayOut out_;
  std::vector<sys::OutPacket> sending_;
  std::map<std::uint32_t, std::shared_ptr<Connection>> connections_;  // shared with their coroutines
  std::uint32_t last_connection_{0};
  RelayServiceCounters counters_;
  TimePoint armed_{TimePoint::max()};
  sys::Signal earlier_;
  sys::Gate gate_;
};

}  // namespace godwit::overlay
