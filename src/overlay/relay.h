// The relay: hosts that prove their keys find each other by them, learn how they are seen from outside, and have their
// datagrams carried, which it can't read. Pure: datagrams, time and chance in, datagrams out. docs/protocols/relay.md.
#pragma once

#include "overlay/relay_messages.h"
#include "overlay/session.h"

namespace godwit::overlay {

struct RelayLimits {
  std::size_t clients{4096};
  std::size_t channels_a_client{1024};
  std::uint64_t bytes_per_s{125'000'000};  // that a client may have carried, with their headers
  Millis burst{200};                       // of its rate, at once
};

struct RelayCounters {
  std::uint64_t carried_datagrams{0};
  std::uint64_t carried_bytes{0};
  std::uint64_t no_channel{0};  // dropped: from somebody who has no such channel
  std::uint64_t over_quota{0};  // dropped: more than the client's rate
  std::uint64_t refused{0};     // handshakes of hosts that may not use this relay
  std::uint64_t malformed{0};   // authentic, but no message
  std::uint64_t full{0};        // clients or channels beyond the limit
};

// To be sent to `to`: a UDP endpoint, or a connection (RelayedKind::connection).
struct RelaySend {
  sys::UdpEndpoint to;
  ByteView bytes;
};

// What one batch made. Allocates little: carried datagrams stay where they were received.
struct RelayOut {
  std::vector<RelaySend> sends;
  std::vector<ByteVector> memory;  // of the relay's own; sends borrow it

  void own(const sys::UdpEndpoint& to, ByteVector bytes) {
    memory.push_back(std::move(bytes));
    sends.push_back({to, memory.back()});
  }
  void clear() {
    sends.clear();
    memory.clear();
  }
};

// One strand.
class Relay {
 public:
  // A client that has said nothing authentic for so long is gone; it says hello more often.
  static constexpr Seconds kClientLife{60};
  static constexpr std::size_t kMostChannels = std::size_t{1} << 20U;

  // May the host with this key, which shows this record, use the relay?
  using Admission = std::function<bool(const crypto::PublicKey& key, ByteView record)>;

  // `random` and `ciphers` outlive it.
  Relay(crypto::KeyPair own, sys::Random& random, Sessions::WallClock wall, const crypto::Ciphers& ciphers,
        RelayLimits limits, Admission admission);

  // `out` may borrow `datagram`, which is altered.
  void on_datagram(TimePoint now, const sys::UdpEndpoint& from, ByteSpan datagram, RelayOut& out);
  // A connection is at its end: who was there isn't any more.
  void on_closed(TimePoint now, const sys::UdpEndpoint& connection, RelayOut& out);
  void poll(TimePoint now, RelayOut& out);
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;

  [[nodiscard]] const crypto::PublicKey& public_key() const { return sessions_.public_key(); }
  [[nodiscard]] const RelayCounters& counters() const { return counters_; }
  [[nodiscard]] const SessionCounters& session_counters() const { return sessions_.counters(); }
  [[nodiscard]] std::size_t clients() const { return clients_.size(); }
  [[nodiscard]] std::size_t channels() const { return channels_.size() - free_.size(); }

 private:
  struct Client {
    crypto::PublicKey key{};
    sys::UdpEndpoint at;
    TimePoint heard_at{};
    std::unordered_map<PeerId, std::uint32_t> channels;  // by whom they lead to
    // Tokens of its quota, in bytes.
    double credit{0};
    TimePoint credit_at{};
  };
  struct Channel {
    std::uint32_t number{0};  // 0: free
    std::array<PeerId, 2> ends{};
    std::array<Client*, 2> clients{};  // borrowed of clients_, whose elements stay where they are
  };

  PeerId introduce(const crypto::PublicKey& key, ByteView record, PeerId known);
  void carry(TimePoint now, const sys::UdpEndpoint& from, std::uint32_t number, ByteView datagram, RelayOut& out);
  [[nodiscard]] bool take_quota(TimePoint now, Client& client, std::size_t bytes) const;
  void on_message(TimePoint now, PeerId from, Client& client, const RelayMessage& message, RelayOut& out);
  void bind(TimePoint now, PeerId from, Client& client, const crypto::PublicKey& key, RelayOut& out);
  [[nodiscard]] std::uint32_t open_channel(PeerId a, PeerId b);
  void close_channel(TimePoint now, std::uint32_t number, PeerId leaver, RelayOut& out);
  void drop_client(TimePoint now, PeerId peer, RelayOut& out);
  void say(TimePoint now, PeerId to, const RelayMessage& message, RelayOut& out);
  void say(TimePoint now, PeerId to, const sys::UdpEndpoint& at, const RelayMessage& message, RelayOut& out);
  void flush(RelayOut& out);

  sys::Random& random_;
  Sessions sessions_;
  RelayLimits limits_;
  Admission admission_;
  std::unordered_map<PeerId, Client> clients_;  // also those whose handshake is not at its end
  std::vector<Channel> channels_;
  std::vector<std::uint32_t> free_;  // places in channels_
  std::optional<TimePoint> sweep_at_;
  RelayCounters counters_;
};

}  // namespace godwit::overlay
