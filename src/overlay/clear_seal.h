// For tests: sessions that hide nothing and believe everybody whose key is known.
#pragma once

#include "overlay/seal.h"

#include <algorithm>
#include <unordered_map>

namespace godwit::overlay::testing {

// There is a session with who has an address, or was heard. A peer is known by the first four bytes of its key, which
// each datagram carries in clear.
class ClearSeal final : public Seal {
 public:
  static constexpr std::uint32_t kType = 0xc1ea0000;

  explicit ClearSeal(const crypto::PublicKey& key) : key_(key) {}

  [[nodiscard]] const crypto::PublicKey& key() const override { return key_; }
  [[nodiscard]] PeerId add(TimePoint /*now*/, const PeerSpec& spec, const sys::UdpEndpoint& at) override {
    if (spec.key == key_) return kNobody;
    const auto id = load_be32(spec.key);
    auto& peer = peers_[id];
    peer.key = spec.key;
    peer.profile = spec.profile;
    if (at && at != peer.configured) peer.at = peer.configured = at;
    return id;
  }
  [[nodiscard]] std::optional<Profile> profile_of(const crypto::PublicKey& key) const override {
    const auto found = peers_.find(load_be32(key));
    return found == peers_.end() ? std::nullopt : std::optional(found->second.profile);
  }
  void remove(PeerId peer) override { peers_.erase(peer); }
  void begin(TimePoint /*now*/, PeerId /*peer*/) override {}
  void set_introduction(Introduction introduction) override { introduction_ = std::move(introduction); }
  // A stranger shows its record, as it does when it begins a session.
  void introduce(TimePoint now, const crypto::PublicKey& key, ByteView record) {
    static_cast<void>(introduction_(now, key, record, kNobody));
  }
  [[nodiscard]] Result<> set_record(TimePoint /*now*/, ByteView /*record*/) override { return {}; }
  void set_address(TimePoint /*now*/, const sys::UdpEndpoint& /*address*/) override {}
  [[nodiscard]] std::optional<Route> seal(TimePoint /*now*/, PeerId peer, ByteSpan datagram) override {
    const auto found = peers_.find(peer);
    if (found == peers_.end() || !found->second.at) return std::nullopt;
    store_be32(datagram, kType);
    store_be32(datagram.subspan(4), load_be32(key_));
    store_be64(datagram.subspan(8), found->second.next++);
    std::fill(datagram.end() - kSealTag, datagram.end(), std::byte{0x5e});
    return Route{found->second.at, 0};
  }
  [[nodiscard]] std::size_t datagram_bytes(PeerId /*peer*/) const override { return PathMtu::kSizes[PathMtu::kUsual]; }
  [[nodiscard]] Opened on_datagram(TimePoint /*now*/, const sys::UdpEndpoint& from, ByteSpan datagram) override {
    if (datagram.size() < kSealOverhead || load_be32(datagram) != kType) return {};
    const auto peer = load_be32(datagram.subspan(4));
    const auto found = peers_.find(peer);
    if (found == peers_.end()) return {};
    const bool ready = !found->second.at;
    found->second.at = from;
    return {Heard::data,
            Refusal::none,
            peer,
            true,
            ready,
            1,
            load_be64(datagram.subspan(8)),
            datagram.subspan(kSealHeader, datagram.size() - kSealOverhead)};
  }
  [[nodiscard]] std::optional<PeerView> view(TimePoint /*now*/, PeerId peer) const override {
    const auto found = peers_.find(peer);
    if (found == peers_.end()) return std::nullopt;
    return PeerView{.key = found->second.key, .profile = found->second.profile, .endpoint = found->second.at};
  }
  void forget_where(const crypto::PublicKey& key) { peers_[load_be32(key)].at = {}; }
  void on_relay_connection(TimePoint /*now*/, std::size_t /*relay*/, bool /*connected*/) override {}
  [[nodiscard]] bool wants_relay_connection(std::size_t /*relay*/) const override { return false; }
  void poll(TimePoint /*now*/) override {}
  [[nodiscard]] std::optional<TimePoint> next_deadline() const override { return std::nullopt; }
  [[nodiscard]] std::vector<UnderlaySend> take_out(TimePoint /*now*/) override { return {}; }

 private:
  crypto::PublicKey key_;
  Introduction introduction_;
  struct Peer {
    crypto::PublicKey key{};
    Profile profile{Profile::native};
    sys::UdpEndpoint configured;
    sys::UdpEndpoint at;
    std::uint64_t next{0};  // counter
  };
  std::unordered_map<PeerId, Peer> peers_;
};

}  // namespace godwit::overlay::testing
