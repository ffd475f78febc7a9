// What a switch wants sent, in order. One is filled while a batch is handled, sealed, sent, and cleared.
#pragma once

#include "overlay/backlog.h"
#include "overlay/counters.h"
#include "overlay/hosts.h"
#include "overlay/slicer.h"
#include "overlay/udp_train.h"

namespace godwit::overlay {

// Bytes for devices either borrow the buffers of what was received, or lie in the outbox's own memory; records for
// peers are copied into the datagrams that carry them. Allocates nothing in the long run.
class Outbox {
 public:
  static constexpr std::size_t kPackets = 8192;
  static constexpr std::size_t kMemoryBytes = std::size_t{16} << 20U;
  // Behind it the batch is sent before the next packet is handled: what is sealed is still in the processor's cache.
  static constexpr std::size_t kEnoughBytes = std::size_t{512} << 10U;
  // Of a datagram, where nobody knows better: those of an underlay with MTU 1500.
  static constexpr std::size_t kDatagramBytes = PathMtu::kSizes[PathMtu::kUsual];

  // `sizes` says how long each peer's datagrams may be, and outlives it; none: kDatagramBytes.
  explicit Outbox(const Seal* sizes = nullptr);
  Outbox(const Outbox&) = delete;  // its trains hold its memory
  Outbox& operator=(const Outbox&) = delete;

  // False when it is full. `bytes` must live until clear(). UDP frames of one flow may become one super-frame.
  bool to_port(sys::PortHandle port, ByteView bytes, const sys::Offload& offload = {});
  bool to_peer(PeerId peer, const RecordHeader& header, ByteView payload);
  // A packet for a WireGuard peer: a datagram of its own, sealed with the others. Copied.
  bool to_leaf(PeerId peer, ByteView packet);
  // As it is: a handshake's. Copied.
  bool to_endpoint(const sys::UdpEndpoint& endpoint, ByteView bytes);
  // Memory that lives until clear(); empty when there is no more.
  [[nodiscard]] ByteSpan scratch(std::size_t size) { return memory_.take(size); }

  // Makes datagrams of the records; nothing can be added behind it. Frames for peers without a session wait for it;
  // control records, which are repeated by who sent them, do not.
  void seal(TimePoint now, Seal& seal, Counters& counters);
  // There is a session with the peer: what waited for it goes out with the next seal().
  void on_ready(PeerId peer) {
    if (backlog_.has(peer)) ready_.push_back(peer);
  }
  // Gives up what has waited too long.
  void sweep(TimePoint now, Counters& counters) { counters.drop(Drop::no_session, backlog_.sweep(now)); }
  [[nodiscard]] std::span<const sys::OutPacket> packets() const { return packets_; }
  // Of the same: what goes by the relay's connection.
  [[nodiscard]] std::span<const sys::OutPacket> linked() const { return linked_; }
  [[nodiscard]] bool empty() const {
    return packets_.empty() && linked_.empty() && trains_used_ == 0 && for_leaves_.empty();
  }
  // Send it before the next packet is handled.
  [[nodiscard]] bool crowded() const {
    return packets_.size() > kPackets / 2 || memory_.size() - memory_.left() > kEnoughBytes;
  }
  void clear();

 private:
  // The records of one peer.
  struct Train {
    PeerId peer{0};
    std::uint64_t records{0};
    bool has_frames{false};
    Slicer slicer;
  };
  enum class Sealed : std::uint8_t { whole, not_at_all, broken };

  struct ForLeaf {
    PeerId peer{0};
    ByteSpan datagram;
  };

  [[nodiscard]] Train& train_of(PeerId peer);
  void seal_train(TimePoint now, Seal& seal, const Train& train, Counters& counters);
  // What waits for the peer. False: it waits on.
  [[nodiscard]] bool seal_backlog(TimePoint now, Seal& seal, PeerId peer, Counters& counters);
  // Datagrams side by side; `route` where they are sealed.
  [[nodiscard]] static Sealed seal_run(TimePoint now, Seal& seal, PeerId peer, ByteSpan bytes, std::size_t one,
                                       Route& route);
  [[nodiscard]] bool send_run(const Route& route, ByteView bytes, std::size_t one);
  bool add(const sys::OutPacket& packet);

  const Seal* sizes_;
  BatchMemory memory_;
  std::vector<sys::OutPacket> packets_;
  std::vector<sys::OutPacket> linked_;
  UdpTrain udp_train_;  // at the end of packets_
  std::vector<Train> trains_;
  std::size_t trains_used_{0};
  std::size_t last_train_{0};
  std::vector<ForLeaf> for_leaves_;
  // Where each peer's train is, and in which batch it was there: nothing is erased between batches.
  struct Place {
    std::uint64_t batch{0};
    std::size_t train{0};
  };
  std::unordered_map<PeerId, Place> places_;
  std::uint64_t batch_{1};
  Backlog backlog_;
  std::vector<PeerId> ready_;
};

}  // namespace godwit::overlay
