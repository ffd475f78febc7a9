// The handshake of an NBD server, on its way to its client, with what the server offers changed.
//
// Source: the NBD protocol, https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md, "Newstyle negotiation",
// "Option reply", NBD_OPT_GO, NBD_INFO_EXPORT.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace godwit::wire {

// Takes NBD_FLAG_SEND_FLUSH and NBD_FLAG_SEND_FUA out of the export's flags: then the client doesn't send what costs a
// round trip each, and the durability of its writes is the business of whoever owns the server. What isn't understood
// passes unchanged, as does everything behind the handshake. Pure; bounded state; give it every byte once, in order.
class NbdGreeting final {
 public:
  // Changes `bytes` in place.
  void pass(std::span<std::byte> bytes);

 private:
  void take(std::byte& byte);
  void end_header();
  [[nodiscard]] std::uint32_t word_at(std::size_t offset) const;

  enum class State : std::uint8_t { hello, header, data, done };

  State state_{State::hello};
  std::array<std::byte, 20> header_{};  // of the greeting, then of each option's reply
  std::uint64_t at_{0};                 // in the header or its data
  std::uint64_t left_{0};               // of the data
  bool describes_export_{false};        // this data is NBD_INFO_EXPORT, as far as was seen
};

}  // namespace godwit::wire
