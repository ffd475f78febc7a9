// The seam where slices become unreadable to others and find their way: what the packet path needs of the sessions of
// this host and the ways to its peers, which UnderlaySeal gives it. Tests have one that hides nothing. Pure.
#pragma once

#include "overlay/underlay.h"

namespace godwit::overlay {

// Each function is that of Underlay, or of its sessions.
class Seal {
 public:
  virtual ~Seal() = default;
  [[nodiscard]] virtual const crypto::PublicKey& key() const = 0;
  [[nodiscard]] virtual PeerId add(TimePoint now, const PeerSpec& spec, const sys::UdpEndpoint& at) = 0;
  // As whom this key is known; none: it is not.
  [[nodiscard]] virtual std::optional<Profile> profile_of(const crypto::PublicKey& key) const = 0;
  virtual void remove(PeerId peer) = 0;
  // Makes a session without having anything to say.
  virtual void begin(TimePoint now, PeerId peer) = 0;
  virtual void set_introduction(Introduction introduction) = 0;
  [[nodiscard]] virtual Result<> set_record(TimePoint now, ByteView record) = 0;
  // At which the other hosts may try this one.
  virtual void set_address(TimePoint now, const sys::UdpEndpoint& address) = 0;
  [[nodiscard]] virtual std::optional<Route> seal(TimePoint now, PeerId peer, ByteSpan datagram) = 0;
  [[nodiscard]] virtual std::size_t datagram_bytes(PeerId peer) const = 0;
  [[nodiscard]] virtual Opened on_datagram(TimePoint now, const sys::UdpEndpoint& from, ByteSpan datagram) = 0;
  // None: no such peer.
  [[nodiscard]] virtual std::optional<PeerView> view(TimePoint now, PeerId peer) const = 0;
  virtual void on_relay_connection(TimePoint now, std::size_t relay, bool connected) = 0;
  [[nodiscard]] virtual bool wants_relay_connection(std::size_t relay) const = 0;
  virtual void poll(TimePoint now) = 0;
  [[nodiscard]] virtual std::optional<TimePoint> next_deadline() const = 0;
  // Not between two datagrams of one record.
  [[nodiscard]] virtual std::vector<UnderlaySend> take_out(TimePoint now) = 0;
};

class UnderlaySeal final : public Seal {
 public:
  // `underlay` outlives it. `other`: a second address at which other hosts may try this one.
  explicit UnderlaySeal(Underlay& underlay, const sys::UdpEndpoint& other = {}) : underlay_(underlay), other_(other) {}

  [[nodiscard]] const crypto::PublicKey& key() const override { return underlay_.sessions().public_key(); }
  [[nodiscard]] PeerId add(TimePoint now, const PeerSpec& spec, const sys::UdpEndpoint& at) override {
    return underlay_.add(now, spec, at);
  }
  [[nodiscard]] std::optional<Profile> profile_of(const crypto::PublicKey& key) const override {
    const auto& sessions = underlay_.sessions();
    const auto* spec = sessions.spec(sessions.find(key));
    return spec ? std::optional(spec->profile) : std::nullopt;
  }
  void remove(PeerId peer) override { underlay_.remove(peer); }
  void begin(TimePoint now, PeerId peer) override { underlay_.sessions().begin(now, peer); }
  void set_introduction(Introduction introduction) override {
    underlay_.sessions().set_introduction(std::move(introduction));
  }
  [[nodiscard]] Result<> set_record(TimePoint now, ByteView record) override {
    return underlay_.set_record(now, record);
  }
  void set_address(TimePoint now, const sys::UdpEndpoint& address) override {
    const std::array<sys::UdpEndpoint, 2> all{address, other_};
    underlay_.set_addresses(now, std::span(all).first(other_ ? 2 : 1));
  }
  [[nodiscard]] std::optional<Route> seal(TimePoint now, PeerId peer, ByteSpan datagram) override {
    return underlay_.seal(now, peer, datagram);
  }
  [[nodiscard]] std::size_t datagram_bytes(PeerId peer) const override { return underlay_.datagram_bytes(peer); }
  [[nodiscard]] Opened on_datagram(TimePoint now, const sys::UdpEndpoint& from, ByteSpan datagram) override {
    return underlay_.on_datagram(now, from, datagram);
  }
  [[nodiscard]] std::optional<PeerView> view(TimePoint now, PeerId peer) const override {
    return underlay_.view(now, peer);
  }
  void on_relay_connection(TimePoint now, std::size_t relay, bool connected) override {
    underlay_.on_relay_connection(now, relay, connected);
  }
  [[nodiscard]] bool wants_relay_connection(std::size_t relay) const override {
    return underlay_.wants_relay_connection(relay);
  }
  void poll(TimePoint now) override { underlay_.poll(now); }
  [[nodiscard]] std::optional<TimePoint> next_deadline() const override { return underlay_.next_deadline(); }
  [[nodiscard]] std::vector<UnderlaySend> take_out(TimePoint now) override { return underlay_.take_out(now); }

 private:
  Underlay& underlay_;
  sys::UdpEndpoint other_;
};

}  // namespace godwit::overlay
