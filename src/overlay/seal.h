// The seam where slices become unreadable to others: what the packet path needs of this host's sessions, which
// SessionSeal gives it. Tests have one that hides nothing. Pure.
#pragma once

#include "overlay/session.h"

namespace godwit::overlay {

// Each function is that of Sessions.
class Seal {
 public:
  virtual ~Seal() = default;
  [[nodiscard]] virtual const crypto::PublicKey& key() const = 0;
  [[nodiscard]] virtual PeerId add(const PeerSpec& spec) = 0;
  virtual void remove(PeerId peer) = 0;
  virtual void set_introduction(Introduction introduction) = 0;
  [[nodiscard]] virtual Result<> set_record(ByteView record) = 0;
  [[nodiscard]] virtual bool seal(TimePoint now, PeerId peer, ByteSpan datagram) = 0;
  [[nodiscard]] virtual Opened on_datagram(TimePoint now, const sys::UdpEndpoint& from, ByteSpan datagram) = 0;
  virtual void poll(TimePoint now) = 0;
  [[nodiscard]] virtual std::optional<TimePoint> next_deadline() const = 0;
  [[nodiscard]] virtual std::vector<Outgoing> take_out() = 0;
};

class SessionSeal final : public Seal {
 public:
  // `sessions` outlives it.
  explicit SessionSeal(Sessions& sessions) : sessions_(sessions) {}

  [[nodiscard]] const crypto::PublicKey& key() const override { return sessions_.public_key(); }
  [[nodiscard]] PeerId add(const PeerSpec& spec) override { return sessions_.add(spec); }
  void remove(PeerId peer) override { sessions_.remove(peer); }
  void set_introduction(Introduction introduction) override { sessions_.set_introduction(std::move(introduction)); }
  [[nodiscard]] Result<> set_record(ByteView record) override { return sessions_.set_record(record); }
  [[nodiscard]] bool seal(TimePoint now, PeerId peer, ByteSpan datagram) override {
    return sessions_.seal(now, peer, datagram);
  }
  [[nodiscard]] Opened on_datagram(TimePoint now, const sys::UdpEndpoint& from, ByteSpan datagram) override {
    return sessions_.on_datagram(now, from, datagram);
  }
  void poll(TimePoint now) override { sessions_.poll(now); }
  [[nodiscard]] std::optional<TimePoint> next_deadline() const override { return sessions_.next_deadline(); }
  [[nodiscard]] std::vector<Outgoing> take_out() override {
    return sessions_.has_out() ? sessions_.take_out() : std::vector<Outgoing>{};
  }

 private:
  Sessions& sessions_;
};

}  // namespace godwit::overlay
