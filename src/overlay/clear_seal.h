// For tests and for measuring what sealing costs: sessions that hide nothing and believe everybody. Pure.
#pragma once

#include "base/bytes.h"
#include "overlay/seal.h"

#include <algorithm>
#include <map>
#include <unordered_map>

namespace godwit::overlay::testing {

// A peer is known by the first four bytes of its key, which each datagram carries in clear.
class ClearSeal final : public Seal {
 public:
  explicit ClearSeal(const PublicKey& key) : key_(key) {}

  [[nodiscard]] PublicKey key() const override { return key_; }
  [[nodiscard]] PeerId add(const PublicKey& key) override {
    const auto id = load_be32(key);
    peers_.try_emplace(id, 0);
    return id;
  }
  void remove(PeerId peer) override { peers_.erase(peer); }
  [[nodiscard]] bool seal(TimePoint /*now*/, PeerId peer, ByteSpan datagram) override {
    const auto found = peers_.find(peer);
    if (found == peers_.end()) return false;
    store_be32(datagram, kType);
    store_be32(datagram.subspan(4), load_be32(key_));
    store_be64(datagram.subspan(8), found->second++);
    std::fill(datagram.end() - kSealTag, datagram.end(), std::byte{0x5e});
    return true;
  }
  [[nodiscard]] Opened open(TimePoint /*now*/, const sys::UdpEndpoint& /*from*/, ByteSpan datagram) override {
    if (datagram.size() < kSealHeader + kSealTag || load_be32(datagram) != kType) return {};
    const auto peer = load_be32(datagram.subspan(4));
    if (!peers_.contains(peer)) return {};
    return {Opened::What::data, peer, 1, load_be64(datagram.subspan(8)),
            datagram.subspan(kSealHeader, datagram.size() - kSealHeader - kSealTag)};
  }
  void poll(TimePoint /*now*/) override {}
  [[nodiscard]] std::optional<TimePoint> next_deadline() const override { return std::nullopt; }
  [[nodiscard]] std::vector<Outgoing> take_out() override { return {}; }

 private:
  static constexpr std::uint32_t kType = 0xc1ea0000;

  PublicKey key_;
  std::unordered_map<PeerId, std::uint64_t> peers_;  // the next counter
};

}  // namespace godwit::overlay::testing
